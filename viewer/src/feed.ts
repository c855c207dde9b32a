//! A queue between what arrives and who reads it: pushing never waits, reading does.

export class Feed<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #wake: (() => void) | undefined;

  push(item: T): void {
    this.#items.push(item);
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for (;;) {
      while (this.#items.length > 0) yield this.#items.shift()!;
      await new Promise<void>((resolve) => { this.#wake = resolve; });
    }
  }
}
