//! A second reader of device lists, rotations and recovery keys (docs/format.md §1 to §3), held to the same files as the first. Not part of
//! the page: nothing brings it a list yet.

import { ascii, type Bytes, equal, Reader, sha256, toHex } from "../src/bytes.ts";
import { importVerifier, type Purpose, SIGNATURE, verify } from "../src/manifest.ts";

export type ListRefused = `list.${"malformed" | "rules" | "home" | "rolled_back" | "gap" | "signature" | "owner" | "forked"}`;
export type RotationRefused = `rotation.${"malformed" | "signature" | "home" | "listed" | "recovery" | "rolled_back"}`;
export type Standing = "current" | "behind" | "ahead" | "unknown" | "forked" | "unlisted";

const ROLES = ["owner", "member", "guest", "recovery"] as const;

export interface Device {
  role: (typeof ROLES)[number];
  signer: Bytes;
  /** X-Wing. */
  publicKey: Bytes;
  generation: number;
  /** µs since 1970; 0: none. */
  expiry: number;
  name: string;
}

interface Signed {
  signer: Bytes;
  signed: Bytes;
  signature: Bytes;
}

interface List extends Signed {
  home: Bytes;
  version: number;
  before: Bytes;
  devices: Device[];
  hash: Bytes;
}

interface Rotation extends Signed {
  home: Bytes;
  publicKey: Bytes;
  generation: number;
}

const XWING = 1216;
/** Of ML-KEM-768, whose key comes first in one of X-Wing: three polynomials of 256 coefficients, 12 bits each. */
const COEFFICIENT_BYTES = 3 * 256 * 12 / 8;
const MODULUS = 3329;

/** `undefined` where a coefficient is not below the modulus (FIPS 203 §7.2). */
function xwingKey(bytes: Bytes): Bytes | undefined {
  if (bytes.length !== XWING) return undefined;
  for (let at = 0; at < COEFFICIENT_BYTES; at += 3) {
    const [a, b, c] = [bytes[at]!, bytes[at + 1]!, bytes[at + 2]!];
    if ((a | ((b & 15) << 8)) >= MODULUS || ((b >> 4) | (c << 4)) >= MODULUS) return undefined;
  }
  return bytes;
}

function line(bytes: Bytes): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return /\p{Cc}/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

function parseDevice(reader: Reader): Device | undefined {
  const role = ROLES[reader.u8() - 1];
  const signer = reader.bytes(32);
  const publicKey = xwingKey(reader.bytes(XWING));
  const [generation, expiry, length] = [reader.u32(), Number(reader.u64()), reader.u8()];
  const name = line(reader.bytes(length));
  if (!reader.intact || !role || !publicKey || length < 1 || length > 40 || name === undefined) return undefined;
  return { role, signer, publicKey, generation, expiry, name };
}

async function parseList(record: Bytes): Promise<List | ListRefused> {
  const reader = new Reader(record);
  const head = [reader.u8(), reader.u8()];
  const [home, version, before] = [reader.bytes(16), reader.u32(), reader.bytes(32)];
  reader.u64(); // when it was made: a claim
  const count = reader.u8();
  if (!reader.intact || head[0] !== 1 || head[1] !== 4 || version === 0) return "list.malformed";
  if (before.every((byte) => byte === 0) !== (version === 1) || count < 1 || count > 64) return "list.rules";
  const devices: Device[] = [];
  for (let i = 0; i < count; i++) {
    const device = parseDevice(reader);
    if (!device) return "list.malformed";
    devices.push(device);
  }
  const signer = reader.bytes(32);
  const signed = reader.before;
  const signature = reader.bytes(SIGNATURE);
  if (!reader.complete) return "list.malformed";
  const different = new Set(devices.map(({ signer }) => toHex(signer))).size === count;
  const guests = devices.every(({ role, expiry }) => role !== "guest" || expiry !== 0);
  if (!different || !guests || !devices.some(({ role }) => role === "owner")) return "list.rules";
  return { home, version, before, devices, signer, signed, signature, hash: await sha256(record) };
}

function parseRotation(record: Bytes): Rotation | undefined {
  const reader = new Reader(record);
  const head = [reader.u8(), reader.u8()];
  const [home, signer, generation, publicKey] = [reader.bytes(16), reader.bytes(32), reader.u32(), xwingKey(reader.bytes(XWING))];
  reader.u64(); // when it was made: a claim
  const signed = reader.before;
  const signature = reader.bytes(SIGNATURE);
  if (!reader.complete || head[0] !== 1 || head[1] !== 5 || !publicKey) return undefined;
  return { home, signer, generation, publicKey, signed, signature };
}

async function holds({ signer, signed, signature }: Signed, purpose: Purpose): Promise<boolean> {
  return verify(await importVerifier(signer), purpose, signed, signature);
}

/** In order: signature, and that the signer is one of those who may. */
async function signedBy(list: List, signers: readonly Bytes[]): Promise<ListRefused | undefined> {
  if (!(await holds(list, "device list"))) return "list.signature";
  return signers.some((signer) => equal(signer, list.signer)) ? undefined : "list.owner";
}

function signersOf(devices: readonly Device[], ...roles: Device["role"][]): Bytes[] {
  return devices.filter(({ role }) => roles.includes(role)).map(({ signer }) => signer);
}

/** The newest list, and what was rotated since. */
export class Lists {
  #newest: List;
  /** Who may sign a list of its version. */
  #signers: Bytes[];
  readonly #rotations = new Map<string, Rotation>();
  readonly #hashes = new Map<number, Bytes>();

  private constructor(first: List, signers: Bytes[]) {
    this.#newest = first;
    this.#signers = signers;
    this.#hashes.set(first.version, first.hash);
  }

  static async first(record: Bytes): Promise<Lists | ListRefused> {
    const list = await parseList(record);
    if (typeof list === "string") return list;
    if (list.version !== 1) return "list.gap";
    const signers = signersOf(list.devices, "owner");
    return (await signedBy(list, signers)) ?? new Lists(list, signers);
  }

  /** What changed, `undefined` where it is nothing new, or why it is refused. */
  async handle(record: Bytes): Promise<string[] | undefined | ListRefused> {
    const ours = this.#newest;
    const list = await parseList(record);
    if (typeof list === "string") return list;
    if (!equal(list.home, ours.home)) return "list.home";
    if (list.version === ours.version) {
      if (equal(list.hash, ours.hash)) return undefined;
      return (await signedBy(list, this.#signers)) ?? "list.forked";
    }
    if (list.version < ours.version) return "list.rolled_back";
    if (list.version > ours.version + 1) return "list.gap";
    const signers = signersOf(ours.devices, "owner", "recovery");
    const refused = await signedBy(list, signers);
    if (refused) return refused;
    if (!equal(list.before, ours.hash)) return "list.forked";
    this.#newest = list;
    this.#signers = signers;
    this.#hashes.set(list.version, list.hash);
    for (const [key, { signer, generation }] of this.#rotations) {
      const device = this.#device(signer);
      if (!device || device.generation >= generation) this.#rotations.delete(key);
    }
    return changes(ours.devices, list.devices);
  }

  async handleRotation(record: Bytes): Promise<string[] | undefined | RotationRefused> {
    const rotation = parseRotation(record);
    if (!rotation) return "rotation.malformed";
    if (!(await holds(rotation, "rotation"))) return "rotation.signature";
    if (!equal(rotation.home, this.#newest.home)) return "rotation.home";
    const device = this.#device(rotation.signer);
    if (!device) return "rotation.listed";
    if (device.role === "recovery") return "rotation.recovery";
    const ours = this.#rotations.get(toHex(device.signer)) ?? device;
    if (rotation.generation === ours.generation && equal(rotation.publicKey, ours.publicKey)) return undefined;
    if (rotation.generation <= ours.generation) return "rotation.rolled_back";
    this.#rotations.set(toHex(device.signer), rotation);
    return [`rotated ${toHex(device.signer)}`];
  }

  /** X-Wing keys that a session is sealed to which starts at a moment, in the order of the list. */
  recipients(at: number): Bytes[] {
    const listed = this.#newest.devices.filter(({ expiry }) => expiry === 0 || expiry > at);
    return listed.map((device) => (this.#rotations.get(toHex(device.signer)) ?? device).publicKey);
  }

  nextExpiry(at: number): number | undefined {
    const later = this.#newest.devices.map(({ expiry }) => expiry).filter((expiry) => expiry > at);
    return later.length > 0 ? Math.min(...later) : undefined;
  }

  /** What a camera states, against these. */
  compare(version: number, hash: Bytes): Standing {
    if (version === 0) return "unlisted";
    const ours = this.#hashes.get(version);
    if (!ours) return version > this.#newest.version ? "ahead" : "unknown";
    if (!equal(ours, hash)) return "forked";
    return version === this.#newest.version ? "current" : "behind";
  }

  #device(signer: Bytes): Device | undefined {
    return this.#newest.devices.find((device) => equal(device.signer, signer));
  }
}

function changes(before: readonly Device[], after: readonly Device[]): string[] {
  const found: string[] = [];
  for (const device of after) {
    const key = toHex(device.signer);
    const old = before.find(({ signer }) => equal(signer, device.signer));
    if (!old) {
      found.push(`added ${key}`);
      continue;
    }
    if (old.role !== device.role) found.push(`role ${key}`);
    if (old.generation !== device.generation || !equal(old.publicKey, device.publicKey)) found.push(`rotated ${key}`);
    if (old.expiry !== device.expiry) found.push(`expiry ${key}`);
    if (old.name !== device.name) found.push(`renamed ${key}`);
  }
  const gone = before.filter(({ signer }) => !after.some((device) => equal(device.signer, signer)));
  return [...found, ...gone.map(({ signer }) => `removed ${toHex(signer)}`)];
}

/** Seeds of a recovery key, from its 32 bytes. */
export async function recoverySeeds(entropy: Bytes): Promise<{ signing: Bytes; device: Bytes }> {
  const handle = await crypto.subtle.importKey("raw", entropy, "HKDF", false, ["deriveBits"]);
  const derive = async (label: string) =>
    new Uint8Array(await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: ascii(`doorframe/1 recovery ${label}`) }, handle, 256));
  return { signing: await derive("signing"), device: await derive("device") };
}
