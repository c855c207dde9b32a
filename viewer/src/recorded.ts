//! Recorded epochs (docs/format.md §7): a file as a store keeps it, whether the camera signed what is in it and all of it is there, and
//! its access units. Nothing here trusts who kept it.

import { ascii, type Bytes, concat, equal, Reader, sha256, u32 } from "./bytes.ts";
import { BELL, EVENT, type Event, parseBell, parseEvents, Told } from "./events.ts";
import { type Closing, type Opening, parseClosing, parseOpening, trackName, verify } from "./manifest.ts";
import { type AccessUnit, parseMediaObject } from "./media.ts";
import type { OpenedSession } from "./session.ts";
import { parseHeader, SframeKey } from "./sframe.ts";

/** Largest file, object and record, in bytes, and most objects of a track. */
export const MAX_FILE = 64 << 20;
const MAX_OBJECT = 8 << 20;
const MAX_RECORD = 4096;
const MAX_OBJECTS = 4096;
const MAX_TRACKS = 8;
const DIGEST = 32;
const MAGIC = ascii("DFEP");

export interface RecordedTrack {
  name: string;
  /** Sealed objects in order. */
  objects: Bytes[];
}

/** An epoch as it was sealed: its records and objects, none of them checked. They share the file's memory. */
export interface EpochFile {
  session: Bytes;
  epoch: number;
  /** A claim of whoever stored it, µs since 1970. */
  stored: number;
  opening: Bytes;
  /** `undefined` if it never came. */
  closing: Bytes | undefined;
  tracks: RecordedTrack[];
}

/** `undefined` if it is damaged, too large, or anything else than an epoch file to its last byte. */
export async function parseEpochFile(file: Bytes): Promise<EpochFile | undefined> {
  if (file.length > MAX_FILE) return undefined;
  const reader = new Reader(file);
  const part = (most: number): Bytes | undefined => {
    const length = reader.u32();
    return length <= most ? reader.bytes(length) : undefined;
  };
  const magic = reader.bytes(MAGIC.length);
  const version = reader.u8();
  const session = reader.bytes(16);
  const epoch = reader.u32();
  const stored = Number(reader.u64());
  const opening = part(MAX_RECORD);
  const closing = part(MAX_RECORD);
  const count = reader.u8();
  if (!equal(magic, MAGIC) || version !== 1 || !opening?.length || !closing || count > MAX_TRACKS) return undefined;
  const tracks: RecordedTrack[] = [];
  for (let i = 0; i < count; i++) {
    const name = trackName(reader);
    const number = reader.u32();
    if (name === undefined || number > MAX_OBJECTS || (name === EVENT && i > 0) || tracks.some((other) => other.name === name)) return undefined;
    const objects: Bytes[] = [];
    for (let j = 0; j < number; j++) {
      const object = part(MAX_OBJECT);
      if (!object || !reader.intact) return undefined;
      objects.push(object);
    }
    tracks.push({ name, objects });
  }
  const content = reader.before;
  const digest = reader.bytes(DIGEST);
  if (!reader.complete || !equal(await sha256(content), digest)) return undefined;
  return { session, epoch, stored, opening, closing: closing.length > 0 ? closing : undefined, tracks };
}

/** Why an epoch is not one that this session's camera sealed. An honest store never causes it. */
export type EpochRefused =
  | "session" | "opening.malformed" | "opening.session" | "opening.signature" | "opening.epoch"
  | "closing.malformed" | "closing.session" | "closing.signature" | "closing.epoch" | "closing.opening"
  | "track" | "changed" | "commitment";

export interface Verdict {
  opening: Opening;
  /** `undefined`: it is missing, so what is here may not be all. */
  closing: Closing | undefined;
  /** Hash of the whole closing, as the next opening names it. */
  closingHash: Bytes | undefined;
  /** Tracks of which objects are missing. */
  missing: { track: string; objects: number }[];
}

export function isComplete(verdict: Verdict): boolean {
  return verdict.closing !== undefined && verdict.missing.length === 0;
}

/** Checks an epoch without keys, by the first check that fails: signatures, session, epoch, and for each track its count and chain. */
export async function verifyEpoch(file: EpochFile, session: Pick<OpenedSession, "id" | "verifier">): Promise<Verdict | EpochRefused> {
  if (!equal(file.session, session.id)) return "session";
  const opening = parseOpening(file.opening);
  if (!opening) return "opening.malformed";
  if (!equal(opening.session, session.id)) return "opening.session";
  if (!(await verify(session.verifier, "opening", opening.signed, opening.signature))) return "opening.signature";
  if (opening.epoch !== file.epoch) return "opening.epoch";
  let closing: Closing | undefined;
  let closingHash: Bytes | undefined;
  if (file.closing) {
    closing = parseClosing(file.closing);
    if (!closing) return "closing.malformed";
    if (!equal(closing.session, session.id)) return "closing.session";
    if (!(await verify(session.verifier, "closing", closing.signed, closing.signature))) return "closing.signature";
    if (closing.epoch !== file.epoch) return "closing.epoch";
    if (!equal(closing.openingHash, await sha256(file.opening))) return "closing.opening";
    closingHash = await sha256(file.closing);
  }
  if (file.tracks.some(({ name }) => !opening.tracks.some(({ track }) => track === name))) return "track";
  const missing: Verdict["missing"] = [];
  for (const { track } of closing ? opening.tracks : []) {
    const objects = file.tracks.find(({ name }) => name === track)?.objects ?? [];
    const tally = closing?.tracks.find((other) => other.track === track);
    const wanted = tally?.objects ?? 0;
    if (objects.length > wanted) return "changed";
    if (objects.length < wanted) missing.push({ track, objects: wanted - objects.length });
    else if (tally && !equal(await chainOf(file, track, objects), tally.chain)) return "changed";
  }
  return { opening, closing, closingHash, missing };
}

async function chainOf(file: EpochFile, track: string, objects: Bytes[]): Promise<Bytes> {
  const hashes = await Promise.all(objects.map((object) => sha256(object)));
  let chain = await sha256(ascii("doorframe/1 chain"), file.session, u32(file.epoch), ascii(track));
  for (const hash of hashes) chain = await sha256(concat(chain, hash));
  return chain;
}

export interface RecordedUnit {
  track: string;
  position: number;
  unit: AccessUnit;
  plaintext: Bytes;
}

export interface OpenedEpoch {
  session: Bytes;
  epoch: number;
  stored: number;
  verdict: Verdict;
  /** Of the media tracks, each track in the order of the file. */
  units: RecordedUnit[];
  /** What happened, each once, though a doorbell is on two tracks. */
  events: Event[];
  /** Objects that did not open or came twice: an alarm, as no lossy network stands between a store and its reader. */
  dropped: number;
}

/** What opens epochs of a session: all of them by its root, or those of a grant. */
export interface EpochOpener extends Pick<OpenedSession, "id" | "verifier"> {
  tree: Pick<OpenedSession["tree"], "covers" | "epochKeys">;
}

/** Checks an epoch as {@link verifyEpoch} does, then the commitments of its tracks, and opens its objects. */
export async function openEpoch(file: EpochFile, session: EpochOpener): Promise<OpenedEpoch | EpochRefused> {
  const verdict = await verifyEpoch(file, session);
  if (typeof verdict === "string") return verdict;
  const { epoch, stored } = file;
  if (!session.tree.covers(epoch)) return "commitment";
  const keys = new Map<string, SframeKey>();
  for (const { track, commitment } of verdict.opening.tracks) {
    const derived = await session.tree.epochKeys(epoch, track);
    if (!equal(derived.commitment, commitment)) return "commitment";
    keys.set(track, await SframeKey.derive(derived.base, BigInt(epoch)));
  }
  const opened: OpenedEpoch = { session: session.id, epoch, stored, verdict, units: [], events: [], dropped: 0 };
  const told = new Told();
  for (const { name, objects } of file.tracks) {
    const key = keys.get(name)!;
    const seen = new Set<number>();
    for (const object of await Promise.all(objects.map((object) => openObject(object, epoch, key)))) {
      if (!object || seen.has(object.position)) {
        opened.dropped++;
        continue;
      }
      const { position, plaintext } = object;
      seen.add(position);
      if (name === EVENT || name === BELL) {
        const events = name === EVENT ? parseEvents(plaintext) : parseBell(plaintext);
        if (events) opened.events.push(...told.news(events, MAX_OBJECTS));
        else opened.dropped++;
        continue;
      }
      const unit = parseMediaObject(plaintext);
      if (unit) opened.units.push({ track: name, position, unit, plaintext });
      else opened.dropped++;
    }
  }
  return opened;
}

/** `undefined` if it is not an object of this epoch, or does not open. */
export async function openObject(object: Bytes, epoch: number, key: SframeKey): Promise<{ position: number; plaintext: Bytes } | undefined> {
  const header = parseHeader(object);
  if (!header || header.kid !== BigInt(epoch) || header.ctr > 0xffff_ffffn) return undefined;
  const plaintext = await key.open(header, object);
  return plaintext && { position: Number(header.ctr), plaintext };
}

/** What a store should not have let happen. */
export type Fault =
  /** Epochs between are not there. `after` and `before` are `undefined` at an edge of the span. */
  | { kind: "missing"; after: number | undefined; before: number | undefined }
  /** An epoch does not follow the one just before it: something was cut out or exchanged. */
  | { kind: "cut"; epoch: number }
  | { kind: "swapped"; epoch: number; why: EpochRefused }
  | { kind: "replayed"; epoch: number; given: number }
  | { kind: "incomplete"; epoch: number; missing: Verdict["missing"]; closed: boolean }
  | { kind: "damaged"; epoch: number };

const ZEROS = new Uint8Array(32);

/** Newest epoch that held, and the hash of its closing. */
export interface Seen {
  epoch: number;
  closingHash: Bytes | undefined;
}

/** Whether an epoch follows the one that held before it in the same session. */
export function follows(seen: Seen, verdict: Verdict): Fault | undefined {
  const { epoch, closingBefore } = verdict.opening;
  const next = epoch === seen.epoch + 1;
  if (!seen.closingHash) return next ? undefined : { kind: "missing", after: seen.epoch, before: epoch };
  if (equal(closingBefore, seen.closingHash)) return undefined;
  return next ? { kind: "cut", epoch } : { kind: "missing", after: seen.epoch, before: epoch };
}

/** Checks the recorded epochs of one session in rising order, without keys. */
export class SpanCheck {
  readonly faults: Fault[] = [];
  #seen: Seen | undefined;

  /** Epochs from `first` up to but not including `end`. */
  constructor(
    readonly session: Pick<OpenedSession, "id" | "verifier">,
    readonly first: number,
    readonly end: number,
  ) {}

  /** Takes what is kept as epoch `asked`, and gives it back parsed if it holds. */
  async handle(asked: number, bytes: Bytes): Promise<{ file: EpochFile; verdict: Verdict } | undefined> {
    const file = await parseEpochFile(bytes);
    if (!file) return this.#fault({ kind: "damaged", epoch: asked });
    const verdict = await verifyEpoch(file, this.session);
    if (verdict === "opening.epoch") {
      const given = parseOpening(file.opening)?.epoch ?? file.epoch;
      return this.#fault({ kind: "replayed", epoch: asked, given });
    }
    if (typeof verdict === "string") return this.#fault({ kind: "swapped", epoch: asked, why: verdict });
    const { epoch } = file;
    if (epoch !== asked || epoch <= (this.#seen?.epoch ?? -1)) return this.#fault({ kind: "replayed", epoch: asked, given: epoch });
    const joined = this.#seen ? follows(this.#seen, verdict) : this.#atStart(verdict);
    if (joined) this.faults.push(joined);
    if (!isComplete(verdict)) this.faults.push({ kind: "incomplete", epoch, missing: verdict.missing, closed: verdict.closing !== undefined });
    this.#seen = { epoch, closingHash: verdict.closingHash };
    return { file, verdict };
  }

  /** A session's first opening names no closing: nothing was before it. */
  #atStart({ opening }: Verdict): Fault | undefined {
    const begun = opening.epoch <= this.first || equal(opening.closingBefore, ZEROS);
    return begun ? undefined : { kind: "missing", after: undefined, before: opening.epoch };
  }

  #fault(fault: Fault): undefined {
    this.faults.push(fault);
  }

  /** Nothing more comes. */
  finish(): Fault[] {
    const after = this.#seen?.epoch;
    if ((after === undefined ? this.first : after + 1) < this.end) this.faults.push({ kind: "missing", after, before: undefined });
    return this.faults;
  }
}
