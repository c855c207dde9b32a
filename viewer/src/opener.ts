//! From sealed bytes to access units: what a session, an opening, an object and a closing must hold
//! before a picture may be made of them (docs/wire.md §4-7). No clock, no socket: time and bytes come
//! in, events come out, and whatever does not hold is counted by the layer that refused it.

import { type Bytes, equal, sha256 } from "./bytes.ts";
import { DeviceKeys } from "./envelope.ts";
import { Chain, EpochRecord, type HeldRecord, type TrackState } from "./epoch.ts";
import { BELL, EVENT, type Event, parseBell, parseEvents } from "./events.ts";
import { Freshness, type Fresh } from "./freshness.ts";
import { type Opening, parseClosing, parseOpening, verify } from "./manifest.ts";
import { type AccessUnit, parseMediaObject } from "./media.ts";
import { type OpenedSession, openSession } from "./session.ts";
import { parseHeader, SframeKey } from "./sframe.ts";

export const LAYERS = [
  "session.malformed", "session.suite", "session.id", "session.signature", "session.recipient", "session.hpke", "session.identity", "session.certificate",
  "opening.malformed", "opening.signature", "opening.session", "opening.epoch", "opening.track", "opening.commitment", "opening.twice", "opening.chain",
  "object.malformed", "object.kid", "object.replay", "object.tag", "object.plaintext", "object.early", "object.old",
  "closing.malformed", "closing.signature", "closing.session", "closing.epoch", "closing.opening", "closing.track", "closing.twice", "closing.chain", "closing.excess",
  "internal",
] as const;

/** Which check refused something. `opening.chain`, `closing.*` ones with a good signature and `*.twice` are alarms; `internal` should not happen. */
export type Layer = (typeof LAYERS)[number];

export interface SessionFacts {
  id: Bytes;
  /** By the camera's wall clock, µs since 1970. */
  start: number;
  epochLengthMs: number;
  devices: DeviceListRef;
  /** Devices that it is sealed to. */
  recipients: number;
}

/** The list of devices that a camera says is in force: version 0 is none. */
export interface DeviceListRef {
  version: number;
  hash: Bytes;
}

/** Turns media time into the camera's wall clock. */
export interface Anchor {
  wallClock: number;
  mediaTime: number;
}

export type OpenerEvent =
  | { kind: "session"; facts: SessionFacts }
  | { kind: "refused"; layer: Layer; suite?: number }
  | { kind: "opening"; epoch: number; fresh: Fresh; anchor: Anchor; devices: DeviceListRef }
  | { kind: "unit"; epoch: number; position: number; unit: AccessUnit; plaintext: Bytes; sealedBytes: number }
  /** A doorbell as soon as it rings, the rest when its epoch ends; each once. */
  | { kind: "happened"; epoch: number; event: Event }
  | { kind: "closing"; epoch: number; verdict: "ok" | "incomplete"; objects: number; missing: number }
  | { kind: "dropped"; layer: Layer }
  | { kind: "alarm"; layer: Layer; epoch: number };

export interface OpenerOptions {
  /** Session id that the broadcast is named after; `undefined` takes any. */
  session?: Bytes | undefined;
  /** The identity key pinned at pairing. */
  identity: Bytes;
  /** This device's X-Wing seeds, the newest first. */
  devices: readonly Bytes[];
  /** What this viewer asked the camera to sign, if it could. */
  challenge?: Bytes | undefined;
  track?: string;
  /** Tracks that are opened beside it, where the camera has them. */
  beside?: readonly string[];
}

/** Epochs kept; whatever is older is neither opened nor believed again. */
const EPOCHS = 8;
/** Most bytes that wait for a session manifest or an opening to arrive. */
const HELD_BYTES = 8 << 20;

export class Opener {
  readonly dropped: Partial<Record<Layer, number>> = {};
  /** Objects opened. */
  opened = 0;
  /** Objects that closings counted and that never came. Not those of the epoch that was joined: it began without this viewer. */
  lost = 0;
  alarms = 0;

  readonly #options: OpenerOptions;
  readonly #track: string;
  readonly #tracks: readonly string[];
  readonly #freshness: Freshness;
  readonly #epochs = new Map<number, EpochRecord>();
  readonly #devices: DeviceKeys;
  #accepted: OpenedSession | undefined;
  #early: HeldRecord[] = [];
  #heldBytes = 0;
  #newest = -1;
  /** The epoch whose opening came first. */
  #joined: number | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: OpenerOptions) {
    this.#options = options;
    this.#devices = new DeviceKeys(options.devices);
    this.#track = options.track ?? "video";
    this.#tracks = [this.#track, ...(options.beside ?? [])];
    this.#freshness = new Freshness(options.challenge);
  }

  /** Records and objects handed in whose events are not out yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** The session manifest. `now` here and below: this device's wall clock, µs since 1970. */
  handleSession(bytes: Bytes): Promise<OpenerEvent[]> {
    return this.#inTurn((out) => this.#session(bytes, out));
  }

  handleOpening(epoch: number, bytes: Bytes, now: number): Promise<OpenerEvent[]> {
    return this.#inTurn((out) => this.#arrival({ record: "opening", epoch, track: "", bytes, now }, out));
  }

  handleClosing(epoch: number, bytes: Bytes, now: number): Promise<OpenerEvent[]> {
    return this.#inTurn((out) => this.#arrival({ record: "closing", epoch, track: "", bytes, now }, out));
  }

  handleObject(epoch: number, bytes: Bytes, now: number, track = this.#track): Promise<OpenerEvent[]> {
    return this.#inTurn((out) => this.#arrival({ record: "object", epoch, track, bytes, now }, out));
  }

  /** No more objects of the epoch's track will come: once that is so of all, its closing is judged by those that did. */
  handleEnd(epoch: number, track = this.#track): Promise<OpenerEvent[]> {
    return this.#inTurn(async (out) => {
      const record = this.#epochs.get(epoch);
      if (record) {
        record.ends.add(track);
        await this.#judge(record, out);
      }
    });
  }

  /** One after the other, in the order handed in: WebCrypto is asynchronous, the order of access units is not. */
  #inTurn(step: (out: OpenerEvent[]) => Promise<void>): Promise<OpenerEvent[]> {
    const out: OpenerEvent[] = [];
    this.#waiting++;
    const failed = () => this.#drop("internal", out);
    const done = this.#queue.then(() => step(out)).catch(failed).then(() => { this.#waiting--; return out; });
    this.#queue = done;
    return done;
  }

  #drop(layer: Layer, out: OpenerEvent[]): void {
    this.dropped[layer] = (this.dropped[layer] ?? 0) + 1;
    out.push({ kind: "dropped", layer });
  }

  #alarm(layer: Layer, epoch: number, out: OpenerEvent[]): void {
    this.alarms++;
    this.dropped[layer] = (this.dropped[layer] ?? 0) + 1;
    out.push({ kind: "alarm", layer, epoch });
  }

  async #session(bytes: Bytes, out: OpenerEvent[]): Promise<void> {
    if (this.#accepted) return;
    const refuse = (layer: Layer, suite?: number) => {
      this.dropped[layer] = (this.dropped[layer] ?? 0) + 1;
      out.push(suite === undefined ? { kind: "refused", layer } : { kind: "refused", layer, suite });
    };
    const session = await openSession(bytes, this.#options, this.#devices);
    if ("layer" in session) return refuse(session.layer, session.suite);
    const { id, manifest } = session;
    this.#accepted = session;
    const { start, epochLengthMs, deviceListVersion: version, deviceListHash, recipients } = manifest;
    const devices = { version, hash: deviceListHash.slice() };
    out.push({ kind: "session", facts: { id, start, epochLengthMs, devices, recipients: recipients.length } });
    const early = this.#early;
    this.#early = [];
    this.#heldBytes = 0;
    for (const arrival of early) await this.#arrival(arrival, out);
  }

  async #arrival(arrival: HeldRecord, out: OpenerEvent[]): Promise<void> {
    const accepted = this.#accepted;
    if (!accepted) {
      if (this.#hold(arrival.bytes)) this.#early.push(arrival);
      else this.#drop("object.early", out);
    } else if (arrival.record === "opening") await this.#opening(accepted, arrival, out);
    else if (arrival.record === "closing") await this.#closing(accepted, arrival, out);
    else await this.#object(accepted, arrival, out);
  }

  #hold(bytes: Bytes): boolean {
    if (this.#heldBytes + bytes.length > HELD_BYTES) return false;
    this.#heldBytes += bytes.length;
    return true;
  }

  /** `undefined` if the epoch is none of this session or too far back. */
  #record(accepted: OpenedSession, epoch: number): EpochRecord | undefined {
    if (!accepted.tree.covers(epoch) || epoch <= this.#newest - EPOCHS) return undefined;
    let record = this.#epochs.get(epoch);
    if (!record) {
      record = new EpochRecord(epoch);
      this.#epochs.set(epoch, record);
    }
    return record;
  }

  async #opening(accepted: OpenedSession, { epoch, bytes, now }: HeldRecord, out: OpenerEvent[]): Promise<void> {
    const opening = parseOpening(bytes);
    if (!opening) return this.#drop("opening.malformed", out);
    if (!equal(opening.session, accepted.id)) return this.#drop("opening.session", out);
    if (opening.epoch !== epoch || !accepted.tree.covers(epoch)) return this.#drop("opening.epoch", out);
    if (!(await verify(accepted.verifier, "opening", opening.signed, opening.signature))) return this.#drop("opening.signature", out);
    const record = this.#record(accepted, epoch);
    if (!record) return this.#drop("opening.epoch", out);
    const hash = await sha256(bytes);
    if (record.opening) {
      if (!equal(record.opening.hash, hash)) this.#alarm("opening.twice", epoch, out);
      return;
    }
    if (!opening.tracks.some(({ track }) => track === this.#track)) return this.#drop("opening.track", out);
    const tracks = new Map<string, TrackState>();
    for (const { track, commitment } of opening.tracks) {
      if (!this.#tracks.includes(track)) continue;
      const keys = await accepted.tree.epochKeys(epoch, track);
      if (!equal(commitment, keys.commitment)) return this.#drop("opening.commitment", out);
      tracks.set(track, { key: await SframeKey.derive(keys.base, BigInt(epoch)), chain: await Chain.start(accepted.id, epoch, track) });
    }
    record.opening = { hash, closingBefore: opening.closingBefore.slice(), tracks };
    await this.#advance(epoch, opening, now, out);
    this.#checkBefore(record, out);
    const held = record.held;
    record.held = [];
    for (const object of held) {
      this.#heldBytes -= object.bytes.length;
      await this.#object(accepted, object, out);
    }
    const closing = record.heldClosing;
    record.heldClosing = undefined;
    if (closing) await this.#closing(accepted, closing, out);
  }

  async #advance(epoch: number, opening: Opening, now: number, out: OpenerEvent[]): Promise<void> {
    const { wallClock, mediaTime, deviceListVersion: version, deviceListHash: hash } = opening;
    const fresh = this.#freshness.judge(opening, now);
    out.push({ kind: "opening", epoch, fresh, anchor: { wallClock, mediaTime }, devices: { version, hash } });
    this.#joined ??= epoch;
    if (epoch <= this.#newest) return;
    this.#newest = epoch;
    for (const old of this.#epochs.values()) {
      // Two epochs on, whatever is missing was lost: its group may never have come at all.
      old.over ||= old.epoch <= epoch - 2;
      await this.#judge(old, out);
      if (old.epoch <= epoch - EPOCHS) {
        for (const object of old.held) this.#heldBytes -= object.bytes.length;
        this.#epochs.delete(old.epoch);
      }
    }
  }

  /** The opening names the closing before it: known for certain only between neighbours. */
  #checkBefore(record: EpochRecord, out: OpenerEvent[]): void {
    const before = this.#epochs.get(record.epoch - 1)?.closingHash;
    if (before && record.opening && !equal(record.opening.closingBefore, before)) this.#alarm("opening.chain", record.epoch, out);
  }

  async #object(accepted: OpenedSession, arrival: HeldRecord, out: OpenerEvent[]): Promise<void> {
    const { epoch, track, bytes } = arrival;
    const record = this.#record(accepted, epoch);
    if (!record) return this.#drop("object.old", out);
    if (!record.opening) {
      if (this.#hold(bytes)) record.held.push(arrival);
      else this.#drop("object.early", out);
      return;
    }
    const header = parseHeader(bytes);
    if (!header) return this.#drop("object.malformed", out);
    if (header.kid !== BigInt(epoch)) return this.#drop("object.kid", out);
    if (header.ctr > 0xffff_ffffn) return this.#drop("object.malformed", out);
    const position = Number(header.ctr);
    const state = record.opening.tracks.get(track);
    if (!state) return this.#drop("opening.track", out);
    const { chain, key } = state;
    if (chain.has(position)) return this.#drop("object.replay", out);
    const plaintext = await key.open(header, bytes);
    if (!plaintext) return this.#drop("object.tag", out);
    await chain.add(position, bytes);
    this.opened++;
    if (track === EVENT || track === BELL) {
      const events = track === EVENT ? parseEvents(plaintext) : parseBell(plaintext);
      if (events) for (const event of record.told.news(events)) out.push({ kind: "happened", epoch, event });
      else this.#drop("object.plaintext", out);
    } else {
      const unit = parseMediaObject(plaintext);
      if (unit) out.push({ kind: "unit", epoch, position, unit, plaintext, sealedBytes: bytes.length });
      else this.#drop("object.plaintext", out);
    }
    await this.#judge(record, out);
  }

  async #closing(accepted: OpenedSession, arrival: HeldRecord, out: OpenerEvent[]): Promise<void> {
    const { epoch, bytes } = arrival;
    const closing = parseClosing(bytes);
    if (!closing) return this.#drop("closing.malformed", out);
    if (!equal(closing.session, accepted.id)) return this.#drop("closing.session", out);
    if (closing.epoch !== epoch) return this.#drop("closing.epoch", out);
    if (!(await verify(accepted.verifier, "closing", closing.signed, closing.signature))) return this.#drop("closing.signature", out);
    const record = this.#record(accepted, epoch);
    if (!record) return this.#drop("closing.epoch", out);
    if (!record.opening) {
      record.heldClosing = arrival;
      return;
    }
    const hash = await sha256(bytes);
    if (record.closingHash) {
      if (!equal(record.closingHash, hash)) this.#alarm("closing.twice", epoch, out);
      return;
    }
    record.closingHash = hash;
    if (!equal(closing.openingHash, record.opening.hash)) return this.#alarm("closing.opening", epoch, out);
    record.tallies = new Map(closing.tracks.map((tally) => [tally.track, tally]));
    if ([...record.opening.tracks.keys()].some((track) => !record.tallies?.has(track))) this.#alarm("closing.track", epoch, out);
    const next = this.#epochs.get(epoch + 1);
    if (next) this.#checkBefore(next, out);
    await this.#judge(record, out);
  }

  /** Compares what came with what the closing says was sealed, as soon as that can be said. */
  async #judge(record: EpochRecord, out: OpenerEvent[]): Promise<void> {
    const { opening, tallies, epoch } = record;
    if (!opening || !tallies) return;
    const tracks = [...opening.tracks].flatMap(([track, { chain }]) => {
      const tally = tallies.get(track);
      return tally ? [{ chain, tally }] : [];
    });
    if (tracks.length < opening.tracks.size) return;
    if (tracks.some(({ chain, tally }) => chain.end > tally.objects)) {
      if (!record.excess) this.#alarm("closing.excess", epoch, out);
      record.excess = true;
      return;
    }
    const objects = tracks.reduce((sum, { tally }) => sum + tally.objects, 0);
    const missing = objects - tracks.reduce((sum, { chain }) => sum + chain.count, 0);
    if (missing === 0) {
      if (record.judged === "complete") return;
      record.judged = "complete";
      this.lost -= record.missing;
      record.missing = 0;
      for (const { chain, tally } of tracks) if (!equal(await chain.value(), tally.chain)) return this.#alarm("closing.chain", epoch, out);
      out.push({ kind: "closing", epoch, verdict: "ok", objects, missing: 0 });
    } else if (record.ended && !record.judged) {
      record.judged = "incomplete";
      if (epoch > (this.#joined ?? epoch)) record.missing = missing;
      this.lost += record.missing;
      out.push({ kind: "closing", epoch, verdict: "incomplete", objects, missing });
    }
  }
}
