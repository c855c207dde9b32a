//! A bundle (docs/format.md, "Bundle"): who made it, whose it is, and, with its key, the access units in it. No page, no clock.

import { ascii, type Bytes, concat, equal, Reader, sha256, u32 } from "./bytes.ts";
import { DeviceKey } from "./envelope.ts";
import { childNode, epochKeysOf } from "./keys.ts";
import { importVerifier, parseClosing, parseOpening, SIGNATURE, verify } from "./manifest.ts";
import { type AccessUnit, parseMediaObject } from "./media.ts";
import { parseHeader, SframeKey, SUITE_AES_256_GCM } from "./sframe.ts";

/** Why a bundle is not shown. */
export type Refusal = "damaged" | "forged" | "uncertified" | "suite" | "other key" | "grant";

export interface BundlePart {
  body: Bytes;
  certificate: Bytes;
  first: number;
  end: number;
  files: { epoch: number; file: Bytes }[];
}

export interface Bundle {
  camera: Bytes;
  maker: Bytes;
  grant: Grant;
  parts: BundlePart[];
}

export interface Grant {
  id: Bytes;
  recipient: Bytes;
  aad: Bytes;
  encapsulated: Bytes;
  ciphertext: Bytes;
  granter: Bytes;
  signed: Bytes;
  signature: Bytes;
}

/** The facts of a session manifest's body. */
interface Body {
  session: Bytes;
  suite: number;
  depth: number;
  publicKey: Bytes;
}

interface Node {
  level: number;
  index: number;
  secret: Bytes;
}

interface GrantPart {
  body: Bytes;
  first: number;
  end: number;
  nodes: Node[];
}

/** A picture to be, with the wall clock that its epoch's opening gives it, in µs since 1970. */
export interface ClipUnit {
  unit: AccessUnit;
  wall: number;
  epoch: number;
  position: number;
}

export interface Clip {
  units: ClipUnit[];
  /** What is missing or was changed, in words; empty if all that the camera sealed is here. */
  faults: string[];
}

const BODY = 132;

/** `u32 length ‖ bytes`. */
function part(reader: Reader): Bytes {
  return reader.bytes(reader.u32());
}

function parseGrant(record: Bytes): Grant | undefined {
  const reader = new Reader(record);
  const version = reader.u8();
  const type = reader.u8();
  const id = reader.bytes(16);
  const recipient = reader.bytes(8);
  reader.u64(); // made
  reader.u64(); // expiry of the offer
  const aad = reader.before;
  const encapsulated = reader.bytes(1120);
  const ciphertext = part(reader);
  const granter = reader.bytes(32);
  const signed = reader.before;
  const signature = reader.bytes(SIGNATURE);
  if (!reader.complete || version !== 1 || type !== 6) return undefined;
  return { id, recipient, aad, encapsulated, ciphertext, granter, signed, signature };
}

async function signedBy(publicKey: Bytes, label: string, signed: Bytes, signature: Bytes): Promise<boolean> {
  const key = await importVerifier(publicKey);
  if (!key) return false;
  try {
    return await crypto.subtle.verify("Ed25519", key, signature, concat(ascii(label), signed));
  } catch {
    return false;
  }
}

/** Reads a bundle; its maker's signature, the grant's, and every session's certificate hold. */
export async function parseBundle(bytes: Bytes): Promise<Bundle | Refusal> {
  const reader = new Reader(bytes);
  const version = reader.u8();
  const type = reader.u8();
  const camera = reader.bytes(32);
  reader.u64(); // made
  const grant = parseGrant(part(reader));
  const count = reader.u8();
  if (version !== 1 || type !== 7 || !grant || count < 1 || count > 16) return "damaged";
  const parts: BundlePart[] = [];
  for (let n = 0; n < count && reader.intact; n++) {
    const body = reader.bytes(BODY);
    const certificate = reader.bytes(SIGNATURE);
    const first = reader.u32();
    const end = reader.u32();
    const files: BundlePart["files"] = [];
    const epochs = reader.u32();
    if (first >= end || epochs < 1 || epochs > end - first) return "damaged";
    for (let i = 0; i < epochs && reader.intact; i++) {
      const epoch = reader.u32();
      if (epoch < first || epoch >= end || epoch <= (files.at(-1)?.epoch ?? -1)) return "damaged";
      files.push({ epoch, file: part(reader) });
    }
    parts.push({ body, certificate, first, end, files });
  }
  const maker = reader.bytes(32);
  const signed = reader.before;
  const signature = reader.bytes(SIGNATURE);
  if (!reader.complete) return "damaged";
  if (!(await signedBy(maker, "doorframe/1 bundle", await sha256(signed), signature))) return "forged";
  if (!equal(grant.granter, maker)) return "forged";
  if (!(await signedBy(maker, "doorframe/1 grant", grant.signed, grant.signature))) return "forged";
  const identity = await importVerifier(camera);
  for (const { body, certificate, end } of parts) {
    const facts = parseBody(body);
    if (!facts || end > 2 ** facts.depth) return "damaged";
    if (facts.suite !== SUITE_AES_256_GCM) return "suite";
    if (!(await verify(identity, "session certificate", body, certificate))) return "uncertified";
  }
  return { camera, maker, grant, parts };
}

function parseBody(body: Bytes): Body | undefined {
  const reader = new Reader(body);
  const version = reader.u8();
  const type = reader.u8();
  const session = reader.bytes(16);
  const suite = reader.u16();
  const epochLengthMs = reader.u16();
  const depth = reader.u8();
  const algorithm = reader.u8();
  const publicKey = reader.bytes(32);
  if (!reader.intact || body.length !== BODY || version !== 1 || type !== 1 || algorithm !== 1) return undefined;
  if (epochLengthMs === 0 || depth < 1 || depth > 32) return undefined;
  return { session, suite, depth, publicKey };
}

/** The fewest nodes of a tree that have the leaves from `first` up to `end` and no other (docs/format.md §4). */
export function cover(depth: number, first: number, end: number): { level: number; index: number }[] {
  const nodes = [];
  for (let at = first; at < end; ) {
    let size = 1;
    let level = depth;
    while (level > 0 && at % (2 * size) === 0 && at + 2 * size <= end) {
      size *= 2;
      level--;
    }
    nodes.push({ level, index: at / size });
    at += size;
  }
  return nodes;
}

/** `undefined` unless every part holds what it says, to the last byte of padding. */
async function parseGranted(plaintext: Bytes, camera: Bytes): Promise<GrantPart[] | undefined> {
  const reader = new Reader(plaintext);
  const version = reader.u8();
  const identity = reader.bytes(32);
  const count = reader.u8();
  if (version !== 1 || !equal(identity, camera) || count < 1 || count > 16) return undefined;
  const verifier = await importVerifier(camera);
  const parts: GrantPart[] = [];
  for (let n = 0; n < count && reader.intact; n++) {
    const body = reader.bytes(BODY);
    const certificate = reader.bytes(SIGNATURE);
    const first = reader.u32();
    const end = reader.u32();
    const kind = reader.u8();
    const facts = parseBody(body);
    if (!facts || first >= end || end > 2 ** facts.depth) return undefined;
    if (!(await verify(verifier, "session certificate", body, certificate))) return undefined;
    const nodes: Node[] = [];
    if (kind === 1) {
      const wanted = cover(facts.depth, first, end);
      if (reader.u8() !== wanted.length) return undefined;
      for (const { level, index } of wanted) {
        if (reader.u8() !== level || reader.u32() !== index) return undefined;
        nodes.push({ level, index, secret: reader.bytes(32) });
      }
    } else if (kind === 2) {
      if (reader.u32() !== end - first) return undefined;
      for (let index = first; index < end && reader.intact; index++) nodes.push({ level: facts.depth, index, secret: reader.bytes(32) });
    } else return undefined;
    parts.push({ body, first, end, nodes });
  }
  const length = reader.position;
  const padding = reader.rest();
  let padded = 4096;
  while (padded < length) padded *= 2;
  if (!reader.complete || padded !== plaintext.length || padding.some((byte) => byte !== 0)) return undefined;
  return parts;
}

async function leafOf(granted: GrantPart, depth: number, epoch: number): Promise<Bytes | undefined> {
  for (const { level, index, secret } of granted.nodes) {
    const below = depth - level;
    if (Math.floor(epoch / 2 ** below) !== index) continue;
    let node = secret;
    for (let bit = below - 1; bit >= 0; bit--) node = await childNode(node, (Math.floor(epoch / 2 ** bit) % 2) as 0 | 1);
    return node;
  }
  return undefined;
}

interface EpochFile {
  opening: Bytes;
  closing: Bytes;
  tracks: { name: string; objects: Bytes[] }[];
}

async function parseEpochFile(file: Bytes, session: Bytes, epoch: number): Promise<EpochFile | undefined> {
  const reader = new Reader(file);
  const magic = String.fromCharCode(...reader.bytes(4));
  const version = reader.u8();
  if (magic !== "DFEP" || version !== 1 || !equal(reader.bytes(16), session) || reader.u32() !== epoch) return undefined;
  reader.u64(); // when it was stored
  const opening = part(reader);
  const closing = part(reader);
  const tracks: EpochFile["tracks"] = [];
  const count = reader.u8();
  if (count > 8) return undefined;
  for (let n = 0; n < count && reader.intact; n++) {
    const name = String.fromCharCode(...reader.bytes(reader.u8()));
    const objects: Bytes[] = [];
    const held = reader.u32();
    if (held > 4096) return undefined;
    for (let i = 0; i < held && reader.intact; i++) objects.push(part(reader));
    tracks.push({ name, objects });
  }
  const content = reader.before;
  const hash = reader.bytes(32);
  return reader.complete && equal(await sha256(content), hash) ? { opening, closing, tracks } : undefined;
}

/** Opens a bundle with its key's seed. */
export async function openBundle(bundle: Bundle, seed: Bytes): Promise<Clip | Refusal> {
  const device = await DeviceKey.fromSeed(seed);
  const { grant } = bundle;
  const recipient = (await sha256(ascii("doorframe/1 grant recipient"), grant.id, device.publicKey)).slice(0, 8);
  if (!equal(recipient, grant.recipient)) return "other key";
  const info = concat(ascii("doorframe/1 grant"), grant.id);
  const plaintext = await device.openSealed(info, grant.aad, grant.encapsulated, grant.ciphertext);
  if (!plaintext) return "other key";
  const granted = await parseGranted(plaintext, bundle.camera);
  if (!granted) return "grant";
  const clip: Clip = { units: [], faults: [] };
  for (const part of bundle.parts) {
    const keys = granted.find(({ body, first, end }) => equal(body, part.body) && first <= part.first && part.end <= end);
    const facts = parseBody(part.body);
    if (!keys || !facts) return "grant";
    await openPart(part, facts, keys, clip);
  }
  return clip;
}

async function openPart(part: BundlePart, facts: Body, keys: GrantPart, clip: Clip): Promise<void> {
  const verifier = await importVerifier(facts.publicKey);
  let before: { epoch: number; closing: Bytes } | undefined;
  if (part.files[0]?.epoch !== part.first) clip.faults.push(`nothing is here before epoch ${part.files[0]?.epoch}`);
  for (const { epoch, file } of part.files) {
    const refuse = (why: string) => clip.faults.push(`epoch ${epoch}: ${why}`);
    const parsed = await parseEpochFile(file, facts.session, epoch);
    const opening = parsed && parseOpening(parsed.opening);
    if (!parsed || !opening) {
      refuse("damaged");
      continue;
    }
    const good = await verify(verifier, "opening", opening.signed, opening.signature);
    if (!good || opening.epoch !== epoch || !equal(opening.session, facts.session)) {
      refuse("not the camera's");
      continue;
    }
    if (before && !equal(opening.closingBefore, before.closing)) clip.faults.push(`something is missing between epochs ${before.epoch} and ${epoch}`);
    before = undefined;
    const closing = parsed.closing.length > 0 ? parseClosing(parsed.closing) : undefined;
    if (!closing) refuse("it has no closing, so what is here may not be all");
    else if (
      !(await verify(verifier, "closing", closing.signed, closing.signature)) ||
      closing.epoch !== epoch || !equal(closing.session, facts.session) || !equal(closing.openingHash, await sha256(parsed.opening))
    ) {
      refuse("its closing is not the camera's");
      continue;
    } else before = { epoch, closing: await sha256(parsed.closing) };
    const objects = parsed.tracks.find(({ name }) => name === "video")?.objects ?? [];
    const tally = closing?.tracks.find(({ track }) => track === "video");
    if (tally && objects.length < tally.objects) refuse(`${tally.objects - objects.length} pictures are missing`);
    else if (tally && !equal(await chain(facts.session, epoch, objects), tally.chain)) {
      refuse("it is not what the camera signed");
      continue;
    }
    const leaf = await leafOf(keys, facts.depth, epoch);
    const own = leaf && (await epochKeysOf(leaf, facts.session, epoch, "video"));
    const commitment = opening.tracks.find(({ track }) => track === "video")?.commitment;
    if (!own || !commitment || !equal(own.commitment, commitment)) {
      refuse("its key is another");
      continue;
    }
    const key = await SframeKey.derive(own.base, BigInt(epoch));
    const seen = new Set<number>();
    for (const object of objects) {
      const header = parseHeader(object);
      const position = Number(header?.ctr ?? -1n);
      const plaintext = header && header.kid === BigInt(epoch) && !seen.has(position) ? await key.open(header, object) : undefined;
      const unit = plaintext && parseMediaObject(plaintext);
      if (!unit) {
        refuse("a picture does not open");
        continue;
      }
      seen.add(position);
      const wall = opening.wallClock + ((unit.mediaTime - opening.mediaTime) * 100) / 9;
      clip.units.push({ unit, wall, epoch, position });
    }
  }
  const last = part.files.at(-1)?.epoch ?? part.first;
  if (last + 1 !== part.end) clip.faults.push(`nothing is here after epoch ${last}`);
}

async function chain(session: Bytes, epoch: number, objects: Bytes[]): Promise<Bytes> {
  let value = await sha256(ascii("doorframe/1 chain"), session, u32(epoch), ascii("video"));
  for (const object of objects) value = await sha256(value, await sha256(object));
  return value;
}
