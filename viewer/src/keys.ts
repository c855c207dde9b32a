//! The key tree of a session (docs/wire.md §3): root → node → leaf → epoch keys.

import { ascii, type Bytes, concat, u32 } from "./bytes.ts";

export interface EpochKeys {
  /** SFrame `base_key` of the epoch and track. */
  base: Bytes;
  /** Public: stands in the opening of the epoch. */
  commitment: Bytes;
}

const NODE = ascii("doorframe/1 node");
const EPOCH = ascii("doorframe/1 epoch");

async function hmacSha256(key: Bytes, ...parts: Uint8Array[]): Promise<Bytes> {
  const handle = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", handle, concat(...parts)));
}

/** HKDF-Expand with SHA-256 (RFC 5869 §2.3). WebCrypto's own HKDF always extracts first, so it is built on HMAC. */
export async function hkdfExpand(key: Bytes, info: Uint8Array, length: number): Promise<Bytes> {
  const blocks: Bytes[] = [];
  for (let i = 1; (i - 1) * 32 < length; i++) {
    blocks.push(await hmacSha256(key, blocks.at(-1) ?? new Uint8Array(0), info, new Uint8Array([i])));
  }
  return concat(...blocks).slice(0, length);
}

export function childNode(node: Bytes, bit: 0 | 1): Promise<Bytes> {
  return hmacSha256(node, NODE, new Uint8Array([bit, 1]));
}

/** The keys of an epoch and track from the epoch's leaf. */
export async function epochKeysOf(leaf: Bytes, session: Bytes, epoch: number, track: string): Promise<EpochKeys> {
  const keys = await hkdfExpand(leaf, concat(EPOCH, session, u32(epoch), ascii(track)), 96);
  return { base: keys.slice(0, 32), commitment: keys.slice(32, 64) };
}

/** Keeps the way down to the epoch asked for last: the next epoch then costs two HMACs on average, not `depth`. */
export class KeyTree {
  readonly #root: Bytes;
  readonly #depth: number;
  readonly #session: Bytes;
  /** Nodes below the root on the way to `#epoch`, by level. */
  #path: Promise<Bytes>[] = [];
  #epoch = 0;

  constructor(root: Bytes, depth: number, session: Bytes) {
    this.#root = root;
    this.#depth = depth;
    this.#session = session;
  }

  /** There is a leaf for it. */
  covers(epoch: number): boolean {
    return Number.isInteger(epoch) && epoch >= 0 && epoch < 2 ** this.#depth;
  }

  /** `epoch` must be one that {@link covers} allows. */
  leaf(epoch: number): Promise<Bytes> {
    const bits = (of: number, count: number) => Math.floor(of / 2 ** (this.#depth - count));
    let shared = this.#path.length;
    while (shared > 0 && bits(epoch, shared) !== bits(this.#epoch, shared)) shared--;
    this.#path.length = shared;
    this.#epoch = epoch;
    for (let level = shared; level < this.#depth; level++) {
      const parent = this.#path[level - 1] ?? Promise.resolve(this.#root);
      const bit = (bits(epoch, level + 1) % 2) as 0 | 1;
      this.#path.push(parent.then((node) => childNode(node, bit)));
    }
    return this.#path[this.#depth - 1] ?? Promise.resolve(this.#root);
  }

  async epochKeys(epoch: number, track: string): Promise<EpochKeys> {
    return epochKeysOf(await this.leaf(epoch), this.#session, epoch, track);
  }
}
