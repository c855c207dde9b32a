//! Follows one camera: which of its sessions is current, what it delivers, and what that means. No DOM.

import { type Bytes, fromHex } from "./bytes.ts";
import type { Carriage, CarriageEvent } from "./carriage.ts";
import { BELL, EVENT, type Event } from "./events.ts";
import type { Link } from "./link.ts";
import type { AccessUnit } from "./media.ts";
import { type Anchor, type DeviceListRef, type Layer, Opener, type OpenerEvent, type SessionFacts } from "./opener.ts";
import type { Fresh } from "./freshness.ts";
import { captureTime } from "./stats.ts";
import type { Facts } from "./status.ts";

/** Takes access units; the browser's decoder, or a test's list. */
export interface Screen {
  decode(epoch: number, position: number, unit: AccessUnit): void;
  reset(): void;
}

/** Sessions announced so soon after connecting were there before: their order says nothing. */
const INITIAL_MS = 1_000;
/** With a camera announced and nothing arriving for so long, the connection is taken for broken. */
const BROKEN_MS = 12_000;

interface Session {
  id: string;
  /** Was announced right after connecting: may have been there for long. */
  found: boolean;
  opener: Opener;
  facts: SessionFacts | undefined;
  refused: Layer | undefined;
  suite: number | undefined;
  alarm: Layer | undefined;
  fresh: Fresh | undefined;
  staleSince: number | undefined;
  epoch: number;
  /** As its manifest or its newest opening states it. */
  devices: DeviceListRef | undefined;
  anchor: Anchor | undefined;
  acceptedAt: number;
  /** When an object last opened, and when one last did not. */
  openedAt: number;
  refusedAt: number;
}

export class Watch {
  /** When the hub was first tried, by `now`. */
  started: number | undefined;
  /** What happened last in the session that is current, and when by the camera's clock, ms since 1970. */
  happened: { kind: Event["kind"]; at: number } | undefined;
  /** Bytes of objects as they are opened. */
  onBytes: (bytes: number) => void = () => {};

  readonly #link: Link;
  readonly #carriage: Carriage;
  readonly #screen: Screen;
  readonly #challenge: Bytes;
  readonly #now: () => number;
  #connection: Facts["connection"] = "connecting";
  #disconnectedSince: number | undefined;
  #close: { code: number | undefined; reason: string } = { code: undefined, reason: "" };
  /** What was filmed before was asked for late: it says nothing about latency. */
  connectedAt = 0;
  /** Sessions announced now, in the order they were. */
  readonly #present = new Set<string>();
  #current: Session | undefined;
  #candidate: Session | undefined;
  /** Counters of sessions that are over. */
  readonly #past = { opened: 0, lost: 0, alarms: 0, dropped: {} as Record<string, number> };

  /** `now`: this device's wall clock, ms since 1970. */
  constructor(link: Link, carriage: Carriage, screen: Screen, challenge: Bytes, now: () => number) {
    this.#link = link;
    this.#carriage = carriage;
    this.#screen = screen;
    this.#challenge = challenge;
    this.#now = now;
  }

  async run(): Promise<void> {
    for await (const event of this.#carriage.events) this.#handle(event);
  }

  get session(): Session | undefined {
    return this.#current;
  }

  /** Records and objects that came and are not judged yet. */
  get waiting(): number {
    return (this.#current?.opener.waiting ?? 0) + (this.#candidate?.opener.waiting ?? 0);
  }

  /** All but the picture's part of the facts. */
  facts(): Omit<Facts, "hub" | "pinned" | "undecodable" | "lastPicture" | "pictured"> {
    const current = this.#current;
    return {
      connection: this.#connection,
      disconnectedSince: this.#disconnectedSince,
      closeCode: this.#close.code,
      closeReason: this.#close.reason,
      present: current !== undefined && this.#present.has(current.id),
      refused: current?.refused,
      suite: current?.suite,
      accepted: current?.facts !== undefined,
      alarm: current?.alarm,
      fresh: current?.fresh?.verdict,
      staleSince: current?.staleSince,
      clockOffset: (current?.fresh?.offset ?? 0) / 1_000,
      refusing: current !== undefined && current.refusedAt > current.openedAt,
    };
  }

  counters(): { opened: number; lost: number; alarms: number; dropped: Record<string, number> } {
    const total = { ...this.#past, dropped: { ...this.#past.dropped } };
    for (const session of [this.#current, this.#candidate]) if (session) addCounters(total, session.opener);
    return total;
  }

  /** To be called now and then: a connection that went silent is made anew. */
  handleTimeout(): void {
    this.#choose();
    const current = this.#current;
    const silent = current && this.#present.has(current.id) && this.#connection === "connected";
    const last = Math.max(this.connectedAt, current?.openedAt ?? 0, current?.refusedAt ?? 0);
    if (silent && !current.refused && this.#now() - last > BROKEN_MS) this.#carriage.reconnect();
  }

  #handle(event: CarriageEvent): void {
    const now = this.#now();
    switch (event.kind) {
      case "connecting":
        this.started ??= now;
        this.#disconnectedSince ??= now;
        if (this.#connection !== "disconnected") this.#connection = "connecting";
        break;
      case "connected":
        this.#connection = "connected";
        this.connectedAt = now;
        this.#disconnectedSince = undefined;
        this.#close = { code: undefined, reason: "" };
        break;
      case "disconnected":
        this.#connection = "disconnected";
        this.#disconnectedSince ??= now;
        this.#close = event;
        this.#present.clear();
        this.#retire(this.#candidate);
        this.#candidate = undefined;
        break;
      case "session":
        if (event.present) this.#appear(event.id);
        else this.#vanish(event.id);
        break;
      case "object":
      case "end":
        this.#deliver(event);
        break;
    }
  }

  #appear(id: string): void {
    this.#present.delete(id);
    this.#present.add(id);
    if (this.#current?.id === id) {
      // Back after a break, or published anew: what was opened before stays known.
      this.#carriage.unfollow(id);
    } else if (!this.#current || !this.#present.has(this.#current.id)) {
      this.#switch(this.#start(id));
    } else if (this.#candidate?.id !== id) {
      this.#dropCandidate();
      this.#candidate = this.#start(id);
    }
    this.#carriage.follow(id);
  }

  #vanish(id: string): void {
    this.#present.delete(id);
    this.#carriage.unfollow(id);
    if (this.#candidate?.id === id) this.#dropCandidate();
    if (this.#current?.id !== id) return;
    const latest = [...this.#present].at(-1);
    const other = this.#candidate ?? (latest === undefined ? undefined : this.#start(latest));
    if (!other) return; // The last picture stays.
    this.#candidate = undefined;
    this.#switch(other);
    this.#carriage.follow(other.id);
  }

  #start(id: string): Session {
    const { identity, devices } = this.#link;
    const opener = new Opener({ session: fromHex(id), identity, devices, challenge: this.#challenge, beside: [EVENT, BELL] });
    const found = this.#now() - this.connectedAt < INITIAL_MS;
    return {
      id, found, opener, facts: undefined, refused: undefined, suite: undefined, alarm: undefined, fresh: undefined, staleSince: undefined,
      epoch: -1, devices: undefined, anchor: undefined, acceptedAt: 0, openedAt: 0, refusedAt: 0,
    };
  }

  #switch(to: Session): void {
    if (this.#current) {
      this.#carriage.unfollow(this.#current.id);
      this.#retire(this.#current);
    }
    this.#current = to;
    this.#screen.reset();
  }

  #dropCandidate(): void {
    if (this.#candidate) this.#carriage.unfollow(this.#candidate.id);
    this.#retire(this.#candidate);
    this.#candidate = undefined;
  }

  #retire(session: Session | undefined): void {
    if (session) addCounters(this.#past, session.opener);
  }

  #deliver(event: CarriageEvent & { kind: "object" | "end" }): void {
    const session = [this.#current, this.#candidate].find((session) => session?.id === event.session);
    if (!session) return;
    const { opener } = session;
    const now = this.#now() * 1_000;
    let events: Promise<OpenerEvent[]> | undefined;
    const media = event.track !== "session" && event.track !== "manifest";
    if (event.kind === "end") {
      if (media) events = opener.handleEnd(event.group, event.track);
    } else if (media) events = opener.handleObject(event.group, event.bytes, now, event.track);
    else if (event.track === "session") events = opener.handleSession(event.bytes);
    else if (event.index === 0) events = opener.handleOpening(event.group, event.bytes, now);
    else events = opener.handleClosing(event.group, event.bytes, now);
    void events?.then((events) => events.forEach((event) => this.#opened(session, event)));
  }

  #opened(session: Session, event: OpenerEvent): void {
    const now = this.#now();
    switch (event.kind) {
      case "session":
        session.facts = event.facts;
        session.refused = undefined;
        session.devices = event.facts.devices;
        session.acceptedAt = now;
        this.#choose();
        break;
      case "refused":
        if (session === this.#candidate && this.#current?.facts) return this.#dropCandidate();
        session.refused = event.layer;
        session.suite = event.suite;
        this.#choose();
        break;
      case "opening":
        session.epoch = Math.max(session.epoch, event.epoch);
        session.fresh = event.fresh;
        session.anchor = event.anchor;
        session.devices = event.devices;
        session.staleSince = event.fresh.verdict === "stale" ? (session.staleSince ?? now) : undefined;
        break;
      case "unit":
        session.openedAt = now;
        if (session !== this.#current) break;
        this.onBytes(event.sealedBytes);
        this.#screen.decode(event.epoch, event.position, event.unit);
        break;
      case "happened":
        session.openedAt = now;
        if (session === this.#current && session.anchor) this.happened = { kind: event.event.kind, at: captureTime(session.anchor, event.event.mediaTime) };
        break;
      case "alarm":
        session.alarm ??= event.layer;
        break;
      case "dropped":
        session.refusedAt = now;
        break;
    }
  }

  /** Once a newcomer checked out: announced later it is current; among those found on connecting, the one that started last. */
  #choose(): void {
    const [current, candidate] = [this.#current, this.#candidate];
    if (!candidate?.facts) return;
    if (candidate.found && current && !current.refused) {
      // Both may be on the way; but a session that is over may never show its manifest.
      if (!current.facts && this.#now() - candidate.acceptedAt < INITIAL_MS) return;
      if (current.facts && candidate.facts.start < current.facts.start) return this.#dropCandidate();
    }
    this.#candidate = undefined;
    this.#switch(candidate);
  }
}

function addCounters(total: { opened: number; lost: number; alarms: number; dropped: Record<string, number> }, opener: Opener): void {
  total.opened += opener.opened;
  total.lost += opener.lost;
  total.alarms += opener.alarms;
  for (const [layer, count] of Object.entries(opener.dropped)) total.dropped[layer] = (total.dropped[layer] ?? 0) + count;
}
