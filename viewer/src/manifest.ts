//! The three signed records (docs/wire.md §4-6): parsing to the last byte, and their signatures.

import { ascii, type Bytes, concat, Reader } from "./bytes.ts";

export const SIGNATURE = 64;
const ED25519 = 1;

export interface Recipient {
  id: Bytes;
  encapsulated: Bytes;
  ciphertext: Bytes;
}

export interface SessionManifest {
  session: Bytes;
  suite: number;
  epochLengthMs: number;
  depth: number;
  publicKey: Bytes;
  /** Start by the camera's wall clock, µs since 1970. */
  start: number;
  deviceListVersion: number;
  deviceListHash: Bytes;
  recipients: Recipient[];
  /** Authenticated by every recipient's ciphertext and by the certificate. */
  body: Bytes;
  /** All but the signature. */
  signed: Bytes;
  signature: Bytes;
}

export interface Commitment {
  track: string;
  commitment: Bytes;
}

export interface Opening {
  session: Bytes;
  epoch: number;
  /** Claim of the camera, µs since 1970, for {@link mediaTime}. */
  wallClock: number;
  mediaTime: number;
  /** Hash of the closing before; zeros in the session's first. */
  closingBefore: Bytes;
  deviceListVersion: number;
  deviceListHash: Bytes;
  tracks: Commitment[];
  challenges: Bytes[];
  signed: Bytes;
  signature: Bytes;
}

export interface Tally {
  track: string;
  objects: number;
  chain: Bytes;
}

export interface Closing {
  session: Bytes;
  epoch: number;
  openingHash: Bytes;
  tracks: Tally[];
  signed: Bytes;
  signature: Bytes;
}

/** What the HPKE ciphertext of a recipient holds. */
export interface SealedRoot {
  root: Bytes;
  identity: Bytes;
  certificate: Bytes;
}

export function parseSession(record: Uint8Array): SessionManifest | undefined {
  const reader = new Reader(record);
  const version = reader.u8();
  const type = reader.u8();
  const session = reader.bytes(16);
  const suite = reader.u16();
  const epochLengthMs = reader.u16();
  const depth = reader.u8();
  const algorithm = reader.u8();
  const publicKey = reader.bytes(32);
  const start = Number(reader.u64());
  const deviceListVersion = reader.u32();
  const deviceListHash = reader.bytes(32);
  reader.bytes(32); // newest checkpoint of the request log
  const body = reader.before;
  const count = reader.u16();
  if (version !== 1 || type !== 1 || algorithm !== ED25519) return undefined;
  if (epochLengthMs === 0 || depth < 1 || depth > 32 || count > 64) return undefined;
  const recipients: Recipient[] = [];
  for (let i = 0; i < count && reader.intact; i++) {
    recipients.push({ id: reader.bytes(8), encapsulated: reader.bytes(1120), ciphertext: reader.bytes(146) });
  }
  const signed = reader.before;
  const signature = reader.bytes(SIGNATURE);
  if (!reader.complete) return undefined;
  return { session, suite, epochLengthMs, depth, publicKey, start, deviceListVersion, deviceListHash, recipients, body, signed, signature };
}

export function parseSealedRoot(plaintext: Uint8Array): SealedRoot | undefined {
  const reader = new Reader(plaintext);
  const version = reader.u8();
  const root = reader.bytes(32);
  const algorithm = reader.u8();
  const identity = reader.bytes(32);
  const certificate = reader.bytes(SIGNATURE);
  if (!reader.complete || version !== 1 || algorithm !== ED25519) return undefined;
  return { root, identity, certificate };
}

/** `undefined` unless it is 1 to 16 bytes of printable ASCII. */
export function trackName(reader: Reader): string | undefined {
  const length = reader.u8();
  if (length < 1 || length > 16) return undefined;
  const name = reader.bytes(length);
  if (name.some((byte) => byte < 0x21 || byte > 0x7e)) return undefined;
  return String.fromCharCode(...name);
}

/** 1 to 8 entries, each under a name of its own. */
function parseTracks<T extends { track: string }>(reader: Reader, parse: (track: string) => T): T[] | undefined {
  const count = reader.u8();
  if (count < 1 || count > 8) return undefined;
  const tracks: T[] = [];
  for (let i = 0; i < count; i++) {
    const track = trackName(reader);
    if (track === undefined || tracks.some((other) => other.track === track)) return undefined;
    tracks.push(parse(track));
  }
  return tracks;
}

export function parseOpening(record: Uint8Array): Opening | undefined {
  const reader = new Reader(record);
  const version = reader.u8();
  const type = reader.u8();
  const session = reader.bytes(16);
  const epoch = reader.u32();
  const wallClock = Number(reader.u64());
  const mediaTime = Number(reader.u64());
  const closingBefore = reader.bytes(32);
  const deviceListVersion = reader.u32();
  const deviceListHash = reader.bytes(32);
  reader.bytes(32); // newest checkpoint of the request log
  if (version !== 1 || type !== 2) return undefined;
  const tracks = parseTracks(reader, (track) => ({ track, commitment: reader.bytes(32) }));
  const count = reader.u8();
  if (tracks === undefined || count > 16) return undefined;
  const challenges: Bytes[] = [];
  for (let i = 0; i < count; i++) challenges.push(reader.bytes(16));
  const signed = reader.before;
  const signature = reader.bytes(SIGNATURE);
  if (!reader.complete) return undefined;
  return { session, epoch, wallClock, mediaTime, closingBefore, deviceListVersion, deviceListHash, tracks, challenges, signed, signature };
}

export function parseClosing(record: Uint8Array): Closing | undefined {
  const reader = new Reader(record);
  const version = reader.u8();
  const type = reader.u8();
  const session = reader.bytes(16);
  const epoch = reader.u32();
  const openingHash = reader.bytes(32);
  if (version !== 1 || type !== 3) return undefined;
  const tracks = parseTracks(reader, (track) => ({ track, objects: reader.u32(), chain: reader.bytes(32) }));
  if (tracks === undefined) return undefined;
  const signed = reader.before;
  const signature = reader.bytes(SIGNATURE);
  if (!reader.complete) return undefined;
  return { session, epoch, openingHash, tracks, signed, signature };
}

/** What a signature is for. */
export type Purpose = "session manifest" | "session certificate" | "opening" | "closing" | "grant" | "bundle" | "device list" | "rotation";

/** An Ed25519 public key, ready to verify with. `undefined` where the bytes are no key. */
export async function importVerifier(publicKey: Bytes): Promise<CryptoKey | undefined> {
  try {
    return await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
  } catch {
    return undefined;
  }
}

export async function verify(key: CryptoKey | undefined, purpose: Purpose, signed: Bytes, signature: Bytes): Promise<boolean> {
  if (key === undefined) return false;
  try {
    return await crypto.subtle.verify("Ed25519", key, signature, concat(ascii(`doorframe/1 ${purpose}`), signed));
  } catch {
    return false;
  }
}
