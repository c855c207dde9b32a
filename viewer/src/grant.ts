//! Grants (docs/format.md §4): the keys of exactly some epochs of one camera, sealed to this device.

import { ascii, type Bytes, concat, equal, Reader, sha256 } from "./bytes.ts";
import type { DeviceKey } from "./envelope.ts";
import { childNode, type EpochKeys, epochKeysOf } from "./keys.ts";
import { importVerifier, SIGNATURE, verify } from "./manifest.ts";

export type GrantRefused =
  | "grant.malformed" | "grant.signature" | "grant.recipient" | "grant.hpke"
  | "body.malformed" | "body.certificate" | "body.span" | "body.kind" | "body.leaves" | "body.padding"
  | "cover.node" | "cover.outside" | "cover.unordered" | "cover.overlapping" | "cover.canonical";

/** A node of a session's key tree. */
export interface Node {
  level: number;
  index: number;
  secret: Bytes;
}

export interface GrantPart {
  /** Body of the session manifest that the camera certified. */
  body: Bytes;
  session: Bytes;
  /** Signs the session's openings and closings; the camera certified it. */
  publicKey: Bytes;
  suite: number;
  epochLengthMs: number;
  depth: number;
  first: number;
  /** The epoch after the last. */
  end: number;
  kind: "cover" | "flat";
  nodes: Node[];
}

export interface Grant {
  id: Bytes;
  /** Identity key of the camera. */
  camera: Bytes;
  /** Signing key of who granted: whether he may is for the reader to know. */
  granter: Bytes;
  /** Claims of who granted, µs since 1970; `expiry` of the offer, `undefined`: none. */
  made: number;
  expiry: number | undefined;
  parts: GrantPart[];
}

const TAG = 16;
const SMALLEST = 4096;
const LARGEST = SMALLEST * 2 ** 10;
const BODY = 132;
const MAX_PARTS = 16;
const MAX_NODES = 62;

function isPadded(length: number): boolean {
  return length >= SMALLEST && length <= LARGEST && Number.isInteger(Math.log2(length));
}

/** A grant as it travels: nothing in it checked. */
export interface SealedGrant {
  id: Bytes;
  granter: Bytes;
  made: number;
  expiry: number | undefined;
  recipient: Bytes;
  aad: Bytes;
  encapsulated: Bytes;
  ciphertext: Bytes;
  signed: Bytes;
  signature: Bytes;
}

/** `undefined` if it is no grant to its last byte, or of a length that none has. */
export function parseGrant(record: Bytes): SealedGrant | undefined {
  const reader = new Reader(record);
  const [version, type] = [reader.u8(), reader.u8()];
  const id = reader.bytes(16);
  const recipient = reader.bytes(8);
  const made = Number(reader.u64());
  const expiry = Number(reader.u64());
  const aad = reader.before;
  const encapsulated = reader.bytes(1120);
  const length = reader.u32();
  if (version !== 1 || type !== 6 || !isPadded(length - TAG)) return undefined;
  const ciphertext = reader.bytes(length);
  const granter = reader.bytes(32);
  const signed = reader.before;
  const signature = reader.bytes(SIGNATURE);
  if (!reader.complete) return undefined;
  return { id, granter, made, expiry: expiry === 0 ? undefined : expiry, recipient, aad, encapsulated, ciphertext, signed, signature };
}

/** Whether the device that says so has made it. */
export async function isSigned({ granter, signed, signature }: SealedGrant): Promise<boolean> {
  return verify(await importVerifier(granter), "grant", signed, signature);
}

/** The grant, or the first check that fails. */
export async function openGrant(record: Bytes, device: DeviceKey): Promise<Grant | GrantRefused> {
  const sealed = parseGrant(record);
  if (!sealed) return "grant.malformed";
  if (!(await isSigned(sealed))) return "grant.signature";
  const { id, granter, made, expiry } = sealed;
  const name = await sha256(ascii("doorframe/1 grant recipient"), id, device.publicKey);
  if (!equal(name.subarray(0, 8), sealed.recipient)) return "grant.recipient";
  const info = concat(ascii("doorframe/1 grant"), id);
  const plaintext = await device.openSealed(info, sealed.aad, sealed.encapsulated, sealed.ciphertext);
  if (!plaintext) return "grant.hpke";
  const body = await parseBody(plaintext);
  if (typeof body === "string") return body;
  return { id, granter, made, expiry, ...body };
}

async function parseBody(plaintext: Bytes): Promise<{ camera: Bytes; parts: GrantPart[] } | GrantRefused> {
  const reader = new Reader(plaintext);
  const version = reader.u8();
  const camera = reader.bytes(32);
  const count = reader.u8();
  if (version !== 1 || count < 1 || count > MAX_PARTS) return "body.malformed";
  const verifier = await importVerifier(camera);
  const parts: GrantPart[] = [];
  for (let i = 0; i < count; i++) {
    const part = await parsePart(reader, verifier);
    if (typeof part === "string") return part;
    parts.push(part);
  }
  const length = reader.position;
  const smallest = Math.max(SMALLEST, 2 ** Math.ceil(Math.log2(length)));
  if (plaintext.length !== smallest || reader.rest().some((byte) => byte !== 0)) return "body.padding";
  return { camera, parts };
}

async function parsePart(reader: Reader, camera: CryptoKey | undefined): Promise<GrantPart | GrantRefused> {
  const body = reader.bytes(BODY);
  const certificate = reader.bytes(SIGNATURE);
  const fields = new Reader(body);
  const [version, type] = [fields.u8(), fields.u8()];
  const session = fields.bytes(16);
  const cipher = fields.u16();
  const epochLengthMs = fields.u16();
  const depth = fields.u8();
  const algorithm = fields.u8();
  const publicKey = fields.bytes(32);
  if (!reader.intact || version !== 1 || type !== 1 || algorithm !== 1 || epochLengthMs === 0 || depth < 1 || depth > 32) return "body.malformed";
  if (!(await verify(camera, "session certificate", body, certificate))) return "body.certificate";
  const [first, end] = [reader.u32(), reader.u32()];
  const kind = reader.u8();
  if (!reader.intact) return "body.malformed";
  if (first >= end || end > 2 ** depth) return "body.span";
  const nodes: Node[] = [];
  if (kind === 1) {
    const count = reader.u8();
    if (count > MAX_NODES) return "body.malformed";
    for (let i = 0; i < count; i++) nodes.push({ level: reader.u8(), index: reader.u32(), secret: reader.bytes(32) });
    if (!reader.intact) return "body.malformed";
    const wrong = checkCover(nodes, first, end, depth);
    if (wrong) return wrong;
  } else if (kind === 2) {
    const count = reader.u32();
    if (count !== end - first) return "body.leaves";
    for (let epoch = first; epoch < end && reader.intact; epoch++) nodes.push({ level: depth, index: epoch, secret: reader.bytes(32) });
    if (!reader.intact) return "body.malformed";
  } else return "body.kind";
  return { body, session, publicKey, suite: cipher, epochLengthMs, depth, first, end, kind: kind === 1 ? "cover" : "flat", nodes };
}

/** First epoch that a node makes, and the one after the last. */
function epochsOf({ level, index }: Pick<Node, "level" | "index">, depth: number): [number, number] {
  const count = 2 ** (depth - level);
  return [index * count, (index + 1) * count];
}

/** There is one cover of a span, so that nobody can hide more in another. */
export function checkCover(nodes: readonly Pick<Node, "level" | "index">[], first: number, end: number, depth: number): GrantRefused | undefined {
  let before: [number, number] | undefined;
  for (const node of nodes) {
    if (node.level > depth || node.index >= 2 ** node.level) return "cover.node";
    const [from, to] = epochsOf(node, depth);
    if (from < first || to > end) return "cover.outside";
    if (before && to <= before[0]) return "cover.unordered";
    if (before && from < before[1]) return "cover.overlapping";
    before = [from, to];
  }
  const cover = coverOf(first, end, depth);
  const same = cover.length === nodes.length && cover.every(({ level, index }, i) => level === nodes[i]!.level && index === nodes[i]!.index);
  return same ? undefined : "cover.canonical";
}

/** The fewest nodes below which are all leaves of a span and no other, left to right. */
export function coverOf(first: number, end: number, depth: number): { level: number; index: number }[] {
  const cover = [];
  for (let at = first; at < end; ) {
    let height = 0;
    while (height < depth && at % 2 ** (height + 1) === 0 && at + 2 ** (height + 1) <= end) height++;
    cover.push({ level: depth - height, index: at / 2 ** height });
    at += 2 ** height;
  }
  return cover;
}

/** Keys of an epoch and track. `undefined`: the part has no key of that epoch. */
export async function grantedKeys(part: GrantPart, epoch: number, track: string): Promise<EpochKeys | undefined> {
  const node = part.nodes.find((node) => {
    const [from, to] = epochsOf(node, part.depth);
    return from <= epoch && epoch < to;
  });
  if (!node) return undefined;
  let secret = node.secret;
  for (let level = node.level; level < part.depth; level++) {
    secret = await childNode(secret, (Math.floor(epoch / 2 ** (part.depth - level - 1)) % 2) as 0 | 1);
  }
  return epochKeysOf(secret, part.session, epoch, track);
}
