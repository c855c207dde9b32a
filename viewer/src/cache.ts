//! A bounded memory of what was fetched: each thing is asked for once at a time, and what was used longest ago goes first.

interface Entry<V> {
  value: Promise<V>;
  size: number;
  /** When it is no longer believed, by `now`. */
  until: number;
  /** Once it came. */
  settled?: V;
}

export class Cache<V> {
  readonly #entries = new Map<string, Entry<V>>();
  #size = 0;

  /** `most`: sum of the sizes kept. */
  constructor(
    readonly most: number,
    readonly sizeOf: (value: V) => number = () => 1,
  ) {}

  get size(): number {
    return this.#size;
  }

  /** What came last under the key, however long ago, if it is kept. */
  known(key: string): V | undefined {
    return this.#entries.get(key)?.settled;
  }

  /** What is kept under the key, or what `load` gives, which is kept until `until`. What fails is not kept. */
  take(key: string, now: number, load: () => Promise<V>, until = Infinity): Promise<V> {
    const found = this.#entries.get(key);
    if (found && now < found.until) {
      this.#entries.delete(key);
      this.#entries.set(key, found);
      return found.value;
    }
    this.#drop(key);
    const entry: Entry<V> = { value: load(), size: 0, until };
    if (found?.settled !== undefined) entry.settled = found.settled;
    this.#entries.set(key, entry);
    entry.value.then(
      (value) => {
        if (this.#entries.get(key) !== entry) return;
        entry.settled = value;
        entry.size = this.sizeOf(value);
        this.#size += entry.size;
        for (const oldest of this.#entries.keys()) {
          if (this.#size <= this.most || oldest === key) break;
          this.#drop(oldest);
        }
      },
      () => { if (this.#entries.get(key) === entry) this.#entries.delete(key); },
    );
    return entry.value;
  }

  #drop(key: string): void {
    this.#size -= this.#entries.get(key)?.size ?? 0;
    this.#entries.delete(key);
  }
}
