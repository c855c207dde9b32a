//! What the hub keeps of the camera (docs/format.md §8 and "Serving"): which hours, which epochs, and the epochs themselves, checked and
//! opened. Names, hours and order are the hub's word; the epochs tell what is true.

import { type Bytes, concat, fromHex, Reader, toHex } from "./bytes.ts";
import { Cache } from "./cache.ts";
import { FetchError, type Store } from "./carriage.ts";
import { DeviceKeys } from "./envelope.ts";
import { EVENT, type Event, parseEvents } from "./events.ts";
import type { Layer } from "./opener.ts";
import { type EpochRefused, MAX_FILE, type OpenedEpoch, openEpoch, openObject, parseEpochFile } from "./recorded.ts";
import { type OpenedSession, openSession } from "./session.ts";
import { SframeKey } from "./sframe.ts";
import { type Entry, HOUR_MS, type HourTotal } from "./timeline.ts";

/** Why something is not there to be shown. */
export class ArchiveError extends Error {
  constructor(
    readonly why: FetchError["why"] | "damaged" | "replayed" | "malformed" | { session: Layer } | { epoch: EpochRefused },
  ) {
    super(typeof why === "string" ? why : "session" in why ? why.session : `epoch.${why.epoch}`);
  }

  /** It is not what this camera sealed: an alarm, not an accident. */
  get isAlarm(): boolean {
    if (typeof this.why === "string") return this.why === "replayed";
    return "epoch" in this.why || !["session.recipient", "session.suite", "session.malformed"].includes(this.why.session);
  }
}

export interface EpochEvents {
  session: string;
  epoch: number;
  events: Event[];
}

const DAYS_ENTRY = 16;
const HOUR_ENTRY = 32;
/** Most bytes of an answer: ten years of hours; an hour of ten times the epochs there are. */
const MOST_DAYS = 2 << 20;
const MOST_HOUR = 8 << 20;
const MOST_SESSION = 1 << 20;
/** How long what still grows is believed, ms. */
const FRESH_MS = 1_000;
/** Opened epochs kept in memory, in bytes: minutes of them. */
const KEPT_BYTES = 96 << 20;
const GROUPS = 2 ** 32;

export interface ArchiveOptions {
  /** The identity key pinned at pairing. */
  identity: Bytes;
  /** This device's X-Wing seeds, the newest first. */
  devices: readonly Bytes[];
}

export class Archive {
  readonly #store: Store;
  readonly #options: ArchiveOptions;
  readonly #now: () => number;
  readonly #devices: DeviceKeys;
  /** Put above the group's number where the answer may change, so that no cache on the way answers. */
  #nonce = Math.floor(Math.random() * 2 ** 19);
  readonly #days = new Cache<HourTotal[]>(1);
  readonly #hours = new Cache<Entry[]>(64 * 1800, (entries) => entries.length + 1);
  readonly #events = new Cache<EpochEvents[]>(64 * 1800, (events) => events.length + 1);
  readonly #sessions = new Cache<OpenedSession>(64);
  readonly #epochs = new Cache<OpenedEpoch>(KEPT_BYTES, (epoch) => epoch.units.reduce((sum, { plaintext }) => sum + plaintext.length, 1000));

  /** `now`: this device's wall clock, ms since 1970. */
  constructor(store: Store, options: ArchiveOptions, now: () => number) {
    this.#store = store;
    this.#options = options;
    this.#devices = new DeviceKeys(options.devices);
    this.#now = now;
  }

  /** As the store says it, `undefined` while that is not known. */
  get kept(): boolean | undefined {
    return this.#store.kept;
  }

  /** Hours with recordings, in order. */
  days(): Promise<HourTotal[]> {
    const now = this.#now();
    return this.#days.take("", now, async () => parseDays(concat(...(await this.#fetch(undefined, "days", this.#anew(0), MOST_DAYS)))), now + FRESH_MS);
  }

  /** Epochs stored in an hour since 1970, in order. */
  hour(hour: number): Promise<Entry[]> {
    const load = async () => parseHour(concat(...(await this.#fetch(undefined, "hour", this.#anew(hour), MOST_HOUR))));
    return this.#hours.take(String(hour), this.#now(), load, this.#until(hour));
  }

  /** The same as it was last read, however long ago. */
  knownHour(hour: number): Entry[] | undefined {
    return this.#hours.known(String(hour));
  }

  /** Events of an hour, of those epochs that have any and open. */
  events(hour: number): Promise<EpochEvents[]> {
    const load = async () => {
      const found: EpochEvents[] = [];
      for (const { session, epoch, object } of parseEventEntries(concat(...(await this.#fetch(undefined, "events", this.#anew(hour), MOST_HOUR))))) {
        const events = object.length > 0 ? await this.#openEvents(session, epoch, object) : [];
        if (events.length > 0) found.push({ session, epoch, events });
      }
      return found;
    };
    return this.#events.take(String(hour), this.#now(), load, this.#until(hour));
  }

  /** A session whose manifest holds, by its id in hex. */
  session(id: string): Promise<OpenedSession> {
    return this.#sessions.take(id, 0, async () => {
      const [manifest] = await this.#fetch(id, "session", 0, MOST_SESSION);
      const options = { session: fromHex(id), identity: this.#options.identity };
      const session = await openSession(manifest ?? new Uint8Array(0), options, this.#devices);
      if ("layer" in session) throw new ArchiveError({ session: session.layer });
      return session;
    });
  }

  /** An epoch, checked and opened. */
  epoch(id: string, epoch: number): Promise<OpenedEpoch> {
    return this.#epochs.take(`${id} ${epoch}`, 0, async () => {
      const [session, parts] = await Promise.all([this.session(id), this.#fetch(id, "epoch", epoch, MAX_FILE)]);
      const file = await parseEpochFile(parts.length === 1 ? parts[0]! : concat(...parts));
      if (!file) throw new ArchiveError("damaged");
      const opened = await openEpoch(file, session);
      if (typeof opened === "string") throw new ArchiveError(opened === "opening.epoch" ? "replayed" : { epoch: opened });
      if (file.epoch !== epoch) throw new ArchiveError("replayed");
      return opened;
    });
  }

  async #openEvents(id: string, epoch: number, object: Bytes): Promise<Event[]> {
    try {
      const { tree } = await this.session(id);
      if (!tree.covers(epoch)) return [];
      const { base } = await tree.epochKeys(epoch, EVENT);
      const opened = await openObject(object, epoch, await SframeKey.derive(base, BigInt(epoch)));
      return (opened && parseEvents(opened.plaintext)) ?? [];
    } catch {
      return [];
    }
  }

  /** An hour that is over still grows by what was under way. */
  #until(hour: number): number {
    const now = this.#now();
    return now > (hour + 1) * HOUR_MS + 60_000 ? now + 600_000 : now + FRESH_MS;
  }

  #anew(group: number): number {
    this.#nonce = (this.#nonce + 1) % 2 ** 20;
    return this.#nonce * GROUPS + group;
  }

  async #fetch(session: string | undefined, track: string, group: number, most: number): Promise<Bytes[]> {
    try {
      return await this.#store.fetch(session, track, group, most);
    } catch (error) {
      throw new ArchiveError(error instanceof FetchError ? error.why : "absent");
    }
  }
}

export function parseDays(bytes: Bytes): HourTotal[] {
  if (bytes.length % DAYS_ENTRY !== 0) throw new ArchiveError("malformed");
  const reader = new Reader(bytes);
  const hours: HourTotal[] = [];
  while (!reader.complete) hours.push({ hour: reader.u32(), epochs: reader.u32(), bytes: Number(reader.u64()) });
  return hours.sort((a, b) => a.hour - b.hour);
}

export function parseHour(bytes: Bytes): Entry[] {
  if (bytes.length % HOUR_ENTRY !== 0) throw new ArchiveError("malformed");
  const reader = new Reader(bytes);
  const entries: Entry[] = [];
  while (!reader.complete) {
    entries.push({ session: toHex(reader.bytes(16)), epoch: reader.u32(), stored: Number(reader.u64()) / 1_000, bytes: reader.u32() });
  }
  return entries;
}

export function parseEventEntries(bytes: Bytes): { session: string; epoch: number; object: Bytes }[] {
  const reader = new Reader(bytes);
  const entries = [];
  while (!reader.complete) {
    const entry = { session: toHex(reader.bytes(16)), epoch: reader.u32(), object: reader.bytes(reader.u32()) };
    if (!reader.intact) throw new ArchiveError("malformed");
    entries.push(entry);
  }
  return entries;
}
