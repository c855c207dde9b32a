//! A bundle (docs/format.md §10): who made it, whose it is, and, with its key, the access units in it. No page, no clock.

import { type Bytes, equal, Reader, sha256 } from "./bytes.ts";
import { DeviceKey } from "./envelope.ts";
import { type GrantPart, grantedKeys, isSigned, openGrant, parseGrant } from "./grant.ts";
import { importVerifier, SIGNATURE, verify } from "./manifest.ts";
import type { AccessUnit } from "./media.ts";
import { type EpochOpener, type Fault, openEpoch, SpanCheck } from "./recorded.ts";
import { SUITE_AES_256_GCM } from "./sframe.ts";

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
  /** The whole record. */
  grant: Bytes;
  parts: BundlePart[];
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
const MAX_PARTS = 16;
const VIDEO = "video";

/** Reads a bundle; its maker's signature, the grant's, and every session's certificate hold. */
export async function parseBundle(bytes: Bytes): Promise<Bundle | Refusal> {
  const reader = new Reader(bytes);
  const [version, type] = [reader.u8(), reader.u8()];
  const camera = reader.bytes(32);
  reader.u64(); // when it was made: a claim
  const grant = reader.bytes(reader.u32());
  const sealed = parseGrant(grant);
  const count = reader.u8();
  if (version !== 1 || type !== 7 || !sealed || count < 1 || count > MAX_PARTS) return "damaged";
  const parts: BundlePart[] = [];
  for (let n = 0; n < count && reader.intact; n++) {
    const body = reader.bytes(BODY);
    const certificate = reader.bytes(SIGNATURE);
    const [first, end] = [reader.u32(), reader.u32()];
    const files: BundlePart["files"] = [];
    const epochs = reader.u32();
    if (first >= end || epochs < 1 || epochs > end - first) return "damaged";
    for (let i = 0; i < epochs && reader.intact; i++) {
      const epoch = reader.u32();
      if (epoch < first || epoch >= end || epoch <= (files.at(-1)?.epoch ?? -1)) return "damaged";
      files.push({ epoch, file: reader.bytes(reader.u32()) });
    }
    parts.push({ body, certificate, first, end, files });
  }
  const maker = reader.bytes(32);
  const signed = reader.before;
  const signature = reader.bytes(SIGNATURE);
  if (!reader.complete) return "damaged";
  if (!(await verify(await importVerifier(maker), "bundle", await sha256(signed), signature))) return "forged";
  if (!equal(sealed.granter, maker) || !(await isSigned(sealed))) return "forged";
  const identity = await importVerifier(camera);
  for (const { body, certificate, end } of parts) {
    const facts = parseBody(body);
    if (!facts || end > 2 ** facts.depth) return "damaged";
    if (facts.suite !== SUITE_AES_256_GCM) return "suite";
    if (!(await verify(identity, "session certificate", body, certificate))) return "uncertified";
  }
  return { camera, maker, grant, parts };
}

/** The facts of a session manifest's body that tell whether it can be read at all. */
function parseBody(body: Bytes): { suite: number; depth: number } | undefined {
  const reader = new Reader(body);
  const [version, type] = [reader.u8(), reader.u8()];
  reader.bytes(16); // session
  const suite = reader.u16();
  const epochLengthMs = reader.u16();
  const depth = reader.u8();
  const algorithm = reader.u8();
  if (!reader.intact || version !== 1 || type !== 1 || algorithm !== 1) return undefined;
  return epochLengthMs > 0 && depth >= 1 && depth <= 32 ? { suite, depth } : undefined;
}

/** Opens a bundle with its key's seed. */
export async function openBundle(bundle: Bundle, seed: Bytes): Promise<Clip | Refusal> {
  const granted = await openGrant(bundle.grant, await DeviceKey.fromSeed(seed));
  if (granted === "grant.recipient" || granted === "grant.hpke") return "other key";
  if (typeof granted === "string" || !equal(granted.camera, bundle.camera)) return "grant";
  const clip: Clip = { units: [], faults: [] };
  for (const part of bundle.parts) {
    const keys = granted.parts.find(({ body, first, end }) => equal(body, part.body) && first <= part.first && part.end <= end);
    const verifier = keys && (await importVerifier(keys.publicKey));
    if (!keys || !verifier) return "grant";
    await openPart(part, opener(keys, verifier), clip);
  }
  return clip;
}

function opener(part: GrantPart, verifier: CryptoKey): EpochOpener {
  const covers = (epoch: number) => part.first <= epoch && epoch < part.end;
  const epochKeys = async (epoch: number, track: string) => {
    const keys = await grantedKeys(part, epoch, track);
    if (!keys) throw new RangeError(`no key of epoch ${epoch}`);
    return keys;
  };
  return { id: part.session, verifier, tree: { covers, epochKeys } };
}

async function openPart(part: BundlePart, session: EpochOpener, clip: Clip): Promise<void> {
  const span = new SpanCheck(session, part.first, part.end);
  for (const { epoch, file } of part.files) {
    const held = await span.handle(epoch, file);
    const opened = held && (await openEpoch(held.file, session));
    if (!opened) continue;
    if (typeof opened === "string") {
      clip.faults.push(`epoch ${epoch}: its key is another`);
      continue;
    }
    if (opened.dropped > 0) clip.faults.push(`epoch ${epoch}: ${opened.dropped} pictures do not open`);
    const { wallClock, mediaTime } = opened.verdict.opening;
    for (const { track, position, unit } of opened.units) {
      if (track !== VIDEO) continue;
      clip.units.push({ unit, wall: wallClock + ((unit.mediaTime - mediaTime) * 100) / 9, epoch, position });
    }
  }
  clip.faults.push(...span.finish().map(words));
}

function words(fault: Fault): string {
  switch (fault.kind) {
    case "missing":
      if (fault.after === undefined) return fault.before === undefined ? "nothing is here" : `nothing is here before epoch ${fault.before}`;
      return fault.before === undefined ? `nothing is here after epoch ${fault.after}` : `something is missing between epochs ${fault.after} and ${fault.before}`;
    case "cut":
      return `epoch ${fault.epoch}: it does not follow the one before`;
    case "swapped":
      return `epoch ${fault.epoch}: it is not what the camera signed`;
    case "replayed":
      return `epoch ${fault.epoch}: epoch ${fault.given} is in its place`;
    case "incomplete": {
      const count = fault.missing.reduce((sum, { objects }) => sum + objects, 0);
      return `epoch ${fault.epoch}: ${fault.closed ? `${count} pictures are missing` : "it has no closing, so what is here may not be all"}`;
    }
    case "damaged":
      return `epoch ${fault.epoch}: damaged`;
  }
}
