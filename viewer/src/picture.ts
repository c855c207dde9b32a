//! The canvas: draws pictures as they come, saves the one that is there.

import type { Picture } from "./decode.ts";

/** However late pictures are, one is drawn this often: a slow machine shows slow pictures, not none. */
const DRAW_AT_LEAST_MS = 100;

export class Canvas {
  readonly #element: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  #drawnAt = -Infinity;
  /** Something was drawn on it. */
  filled = false;

  constructor(element: HTMLCanvasElement) {
    this.#element = element;
    this.#context = element.getContext("2d", { alpha: false, desynchronized: true })!;
  }

  /** Takes over the frame. Says whether it was drawn: not where newer ones are known to follow at once. */
  draw(picture: Picture, newerWaiting: boolean, now: number): boolean {
    const { frame } = picture;
    const skip = (picture.late || newerWaiting) && now - this.#drawnAt < DRAW_AT_LEAST_MS;
    if (!skip) {
      this.#put(frame, frame.displayWidth, frame.displayHeight);
      this.#drawnAt = now;
    }
    frame.close();
    return !skip;
  }

  /** Shows what another one shows. */
  copy(other: Canvas): void {
    this.#put(other.#element, other.#element.width, other.#element.height);
  }

  clear(): void {
    const element = this.#element;
    element.width = 16;
    element.height = 9;
    element.style.removeProperty("--ratio");
    this.filled = false;
  }

  #put(image: CanvasImageSource, width: number, height: number): void {
    const element = this.#element;
    if (element.width !== width || element.height !== height) {
      element.width = width;
      element.height = height;
      element.style.setProperty("--ratio", String(width / height));
    }
    this.#context.drawImage(image, 0, 0, width, height);
    this.filled = true;
  }

  save(name: string): void {
    this.#element.toBlob((blob) => {
      if (!blob) return;
      const anchor = document.createElement("a");
      anchor.href = URL.createObjectURL(blob);
      anchor.download = name;
      anchor.click();
      setTimeout(() => URL.revokeObjectURL(anchor.href), 10_000);
    }, "image/png");
  }
}
