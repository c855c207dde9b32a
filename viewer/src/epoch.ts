//! What is known of one epoch while it plays: its opening, the objects that came, its closing.

import { ascii, type Bytes, concat, sha256, u32 } from "./bytes.ts";
import { Told } from "./events.ts";
import type { Tally } from "./manifest.ts";
import type { SframeKey } from "./sframe.ts";

/** The chain of a track (docs/wire.md §6) over the objects that came, in whatever order they did. */
export class Chain {
  readonly #start: Bytes;
  readonly #hashes = new Map<number, Bytes>();
  /** One past the highest position seen. */
  end = 0;

  private constructor(start: Bytes) {
    this.#start = start;
  }

  static async start(session: Bytes, epoch: number, track: string): Promise<Chain> {
    return new Chain(await sha256(ascii("doorframe/1 chain"), session, u32(epoch), ascii(track)));
  }

  get count(): number {
    return this.#hashes.size;
  }

  has(position: number): boolean {
    return this.#hashes.has(position);
  }

  async add(position: number, object: Uint8Array): Promise<void> {
    this.#hashes.set(position, await sha256(object));
    this.end = Math.max(this.end, position + 1);
  }

  /** Only meaningful while no position is missing. */
  async value(): Promise<Bytes> {
    let value = this.#start;
    for (let i = 0; i < this.end; i++) value = await sha256(concat(value, this.#hashes.get(i) ?? new Uint8Array(0)));
    return value;
  }
}

export interface HeldRecord {
  record: "opening" | "closing" | "object";
  epoch: number;
  /** Of an object. */
  track: string;
  bytes: Bytes;
  now: number;
}

/** One track of an epoch whose opening was verified. */
export interface TrackState {
  key: SframeKey;
  chain: Chain;
}

export class EpochRecord {
  /** Set once an opening was verified: from then on objects can be opened. */
  opening: { hash: Bytes; closingBefore: Bytes; tracks: Map<string, TrackState> } | undefined;
  /** Objects that came before the opening. */
  held: HeldRecord[] = [];
  heldClosing: HeldRecord | undefined;
  closingHash: Bytes | undefined;
  /** What the closing says, by track. */
  tallies: Map<string, Tally> | undefined;
  /** Tracks whose group's stream has ended. */
  readonly ends = new Set<string>();
  /** No more is waited for. */
  over = false;
  readonly told = new Told();
  excess = false;
  judged: "complete" | "incomplete" | undefined;
  /** Objects counted as lost so far. */
  missing = 0;

  constructor(readonly epoch: number) {}

  /** No more objects will come. */
  get ended(): boolean {
    return this.over || (this.opening !== undefined && [...this.opening.tracks.keys()].every((track) => this.ends.has(track)));
  }
}
