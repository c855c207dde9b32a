//! A store with recordings of the last days for development: sealed when they are asked for, with a few faults in them.

import { ascii, type Bytes, concat, fromHex, sha256, u32, u64 } from "../src/bytes.ts";
import { FetchError, type Store } from "../src/carriage.ts";
import { type Camera, mediaObject } from "./camera.ts";

const EPOCH_MS = 2_000;
const HOUR_MS = 3_600_000;
/** Epochs from one piece of the chain to the next: beyond, openings would have to be made from the session's first on. */
const CHAIN = 32;
const PICTURES = 20;

export interface FakeStoreOptions {
  camera: Camera;
  /** Session start, ms since 1970. */
  start: number;
  kept: boolean;
  /** Encoded pictures of an epoch filmed at a moment: a keyframe and those that follow it. */
  film: (at: number, count: number) => Promise<Bytes[]>;
  size: [number, number];
}

export class FakeStore implements Store {
  readonly kept: boolean;
  readonly #options: FakeStoreOptions;
  readonly #objects = new Map<number, Promise<Bytes[]>>();
  readonly #closings = new Map<number, Promise<{ opening: Bytes; closing: Bytes; objects: Bytes[] }>>();

  constructor(options: FakeStoreOptions) {
    this.kept = options.kept;
    this.#options = options;
  }

  #stored(epoch: number): number {
    return this.#options.start + (epoch + 1) * EPOCH_MS + 40;
  }

  /** Nights are not recorded, nor is a while some minutes ago. */
  #has(epoch: number): boolean {
    const at = this.#stored(epoch);
    const ago = Date.now() - at;
    return epoch >= 0 && ago > 0 && epoch % CHAIN !== 0 && new Date(at).getHours() !== 3 && !(ago > 200_000 && ago < 260_000) && !(ago > 1_500_000 && ago < 1_900_000);
  }

  #epochsOf(hour: number): number[] {
    const first = Math.floor((hour * HOUR_MS - this.#options.start) / EPOCH_MS) - 2;
    const epochs = Array.from({ length: HOUR_MS / EPOCH_MS + 4 }, (_, i) => first + i);
    return epochs.filter((epoch) => Math.floor(this.#stored(epoch) / HOUR_MS) === hour && this.#has(epoch));
  }

  async fetch(session: string | undefined, track: string, group: number): Promise<Bytes[]> {
    const { camera, start } = this.#options;
    await new Promise((resolve) => setTimeout(resolve, 15));
    if (!this.kept) throw new FetchError("absent");
    const number = group % 2 ** 32;
    const id = fromHex(camera.id)!;
    if (session === undefined) {
      if (track === "days") {
        const out: Bytes[] = [];
        for (let hour = Math.floor(start / HOUR_MS); hour <= Date.now() / HOUR_MS; hour++) {
          const count = this.#epochsOf(hour).length;
          if (count > 0) out.push(u32(hour), u32(count > 1_700 ? 1_800 : count), u64(BigInt(count) * 500_000n));
        }
        return [concat(...out)];
      }
      const epochs = this.#epochsOf(number);
      if (track === "hour") return [concat(...epochs.flatMap((epoch) => [id, u32(epoch), u64(BigInt(this.#stored(epoch) * 1_000)), u32(500_000)]))];
      return [concat(...(await Promise.all(epochs.map(async (epoch) => {
        const object = epoch % 97 < 2 ? await camera.seal(epoch, 0, eventObject(epoch % 97 === 0 ? 1 : 3), epoch, "event") : new Uint8Array(0);
        return concat(id, u32(epoch), u32(object.length), object);
      }))))];
    }
    if (track === "session") return [camera.manifest];
    return [await this.#file(number)];
  }

  async #file(epoch: number): Promise<Bytes> {
    const { opening, closing, objects } = await this.#epoch(epoch);
    // One epoch of many has lost three pictures.
    const kept = epoch % 41 === 0 ? objects.slice(0, -3) : objects;
    const head = concat(ascii("DFEP"), new Uint8Array([1]), fromHex(this.#options.camera.id)!, u32(epoch), u64(BigInt(this.#stored(epoch) * 1_000)));
    const content = concat(
      head, u32(opening.length), opening, u32(closing.length), closing, new Uint8Array([1, 5]), ascii("video"), u32(kept.length),
      ...kept.flatMap((object) => [u32(object.length), object]),
    );
    return concat(content, await sha256(content));
  }

  #epoch(epoch: number): Promise<{ opening: Bytes; closing: Bytes; objects: Bytes[] }> {
    let made = this.#closings.get(epoch);
    if (!made) this.#closings.set(epoch, (made = this.#make(epoch)));
    return made;
  }

  async #make(epoch: number): Promise<{ opening: Bytes; closing: Bytes; objects: Bytes[] }> {
    const { camera } = this.#options;
    const before = epoch % CHAIN === 0 ? new Uint8Array(32) : await sha256((await this.#epoch(epoch - 1)).closing);
    const [opening, objects] = [await camera.opening(epoch, { closingBefore: before }), await this.#seal(epoch)];
    return { opening, objects, closing: await camera.closing(epoch, opening, objects) };
  }

  #seal(epoch: number): Promise<Bytes[]> {
    const { camera, film, start, size: [width, height] } = this.#options;
    let made = this.#objects.get(epoch);
    if (!made) {
      made = film(start + epoch * EPOCH_MS, PICTURES).then((units) => Promise.all(units.map((unit, i) => {
        const mediaTime = (epoch * EPOCH_MS + (i * EPOCH_MS) / PICTURES) * 90;
        return camera.seal(epoch, i, mediaObject(unit, { keyframe: i === 0, width, height, mediaTime }));
      })));
      this.#objects.set(epoch, made);
    }
    return made;
  }
}

function eventObject(kind: number): Bytes {
  const out = new Uint8Array(256);
  out[0] = kind;
  return out;
}
