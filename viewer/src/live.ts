//! One camera as it is now: carriage → watch → decoder → a canvas, if there is one to draw on. Goes on listening without.

import { type Bytes, sha256, toHex } from "./bytes.ts";
import type { Carriage, Store } from "./carriage.ts";
import { Decoder } from "./decode.ts";
import { TOLERANCE } from "./freshness.ts";
import { type Change, Watchman } from "./ghost.ts";
import type { Link } from "./link.ts";
import type { AccessUnit } from "./media.ts";
import type { Canvas } from "./picture.ts";
import { captureTime, Stats } from "./stats.ts";
import { type Facts, type Status, status, withDevices } from "./status.ts";
import { browser, tab } from "./support.ts";
import { Watch } from "./watch.ts";

/** Where pictures are drawn anew, for so long the last one from before stands while the first is on its way. */
const RETURN_MS = 600;

/** So long it is said beside the live picture what happened last. */
const HAPPENED_MS = 60_000;
const HAPPENED_WORDS = { motion: "Motion", still: "Motion ended", doorbell: "Doorbell" };

/** This device's wall clock in ms, finer than a millisecond while it agrees with the monotonic one. */
export function wallClock(): number {
  const fine = performance.timeOrigin + performance.now();
  const coarse = Date.now();
  return Math.abs(fine - coarse) < 2 ? fine : coarse;
}

export function clock(ms: number): string {
  const today = new Date(ms).toDateString() === new Date().toDateString();
  const time: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return today ? new Date(ms).toLocaleTimeString([], time) : new Date(ms).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

export class LiveCamera {
  readonly link: Link;
  /** What people call it. */
  readonly title: string;
  readonly carriage: Carriage & Store;
  readonly stats = new Stats();
  readonly decoder: Decoder;
  readonly watch: Watch;
  /** When its last picture came, in this run or an earlier one of this tab. */
  lastPicture: number | undefined;
  /** From the first attempt to connect to the first picture drawn, ms. */
  firstPictureMs: number | undefined;
  /** Of the identity key; empty at first. */
  fingerprint = "";

  readonly #name: string;
  #canvas: Canvas | undefined;
  /** The picture on the canvas is of the present. */
  #present = false;
  #returnedAt = -Infinity;
  #watchman: Watchman | undefined;
  /** What came since the last keyframe: where pictures are drawn again, they start with it at once. */
  #recent: [number, number, AccessUnit][] = [];

  constructor(link: Link, title: string, connect: (link: Link, challenge: Bytes) => Carriage & Store) {
    this.link = link;
    this.title = title;
    this.#name = `doorframe.seen ${link.hub.href} ${link.camera}`;
    this.lastPicture = Number(tab.recall(this.#name)) || undefined;
    const challenge = crypto.getRandomValues(new Uint8Array(16));
    this.carriage = connect(link, challenge);
    this.decoder = new Decoder((picture) => {
      const now = wallClock();
      if (!this.#canvas) return picture.frame.close();
      const { mediaTime } = picture;
      if (this.#canvas.draw(picture, this.watch.waiting > 0, now)) this.#drawn(mediaTime, now);
    });
    const screen = {
      decode: (epoch: number, position: number, unit: AccessUnit) => {
        if (unit.keyframe) this.#recent = [];
        this.#recent.push([epoch, position, unit]);
        if (this.#canvas) this.decoder.decode(epoch, position, unit);
      },
      reset: () => {
        this.#recent = [];
        this.decoder.reset();
        this.stats.forgetLatency();
      },
    };
    this.watch = new Watch(link, this.carriage, screen, challenge, wallClock);
    this.watch.onBytes = (bytes) => this.stats.received(bytes, wallClock());
    void this.watch.run();
    void sha256(link.identity).then((hash) => {
      this.fingerprint = toHex(hash.subarray(0, 8)).match(/.{4}/g)!.join("-");
      this.#watchman = new Watchman(browser, `doorframe.devices ${toHex(hash)}`);
    });
  }

  #drawn(mediaTime: number, now: number): void {
    const { session, started, connectedAt } = this.watch;
    this.#present = true;
    // Not now: what is drawn anew came earlier.
    this.lastPicture = session?.openedAt || now;
    if (started !== undefined) this.firstPictureMs ??= now - started;
    const aligned = Math.abs(session?.fresh?.offset ?? 0) < TOLERANCE;
    const captured = session?.anchor && aligned ? captureTime(session.anchor, mediaTime) : undefined;
    this.stats.drawn(captured !== undefined && captured > Math.max(connectedAt, this.#returnedAt) ? wallClock() - captured : undefined, now);
  }

  /** Draws on `canvas` from now on, or on none: then nothing is decoded either. */
  show(canvas: Canvas | undefined): void {
    const before = this.#canvas;
    if (canvas === before) return;
    this.#canvas = canvas;
    if (!canvas || !before) {
      this.#present = false;
      this.decoder.reset();
    }
    if (!canvas || before) return;
    this.#returnedAt = wallClock();
    this.stats.forgetLatency();
    for (const [epoch, position, unit] of this.#recent) this.decoder.decode(epoch, position, unit);
  }

  showsOn(canvas: Canvas): boolean {
    return this.#canvas === canvas;
  }

  get decoding(): boolean {
    return this.#canvas !== undefined;
  }

  /** What is on its canvas is, or was a moment ago, of the present; else there is nothing to look at. */
  get pictured(): boolean {
    return this.#present || wallClock() - this.#returnedAt < RETURN_MS;
  }

  facts(): Facts {
    const { link, watch, decoder } = this;
    const opened = watch.session?.openedAt || undefined;
    return {
      ...watch.facts(), hub: link.hub.host, pinned: link.certificate !== undefined, undecodable: decoder.undecodable,
      // Where nothing is decoded, what opens is what would be seen.
      ...(this.decoding ? { lastPicture: this.lastPicture, pictured: this.#present } : { lastPicture: opened ?? this.lastPicture, pictured: opened !== undefined }),
    };
  }

  status(now: number): Status {
    return withDevices(status(this.facts(), now, clock), this.change);
  }

  /** What happened last, in words; empty where that was long ago. */
  happenedWords(now: number): string {
    const { happened } = this.watch;
    return happened && Math.abs(now - happened.at) < HAPPENED_MS ? `${HAPPENED_WORDS[happened.kind]}, ${clock(happened.at)}` : "";
  }

  /** Something about who may watch, that a person has not yet said to know. */
  get change(): Change | undefined {
    return this.#watchman?.pending;
  }

  accept(): void {
    this.#watchman?.accept();
  }

  counters(): ReturnType<Watch["counters"]> {
    const counters = this.watch.counters();
    const { errors, skipped } = this.decoder;
    if (errors > 0) counters.dropped["decode.error"] = errors;
    if (skipped > 0) counters.dropped["decode.skipped"] = skipped;
    return counters;
  }

  /** To be called now and then. */
  update(): void {
    this.watch.handleTimeout();
    const { facts, devices, fresh, anchor } = this.watch.session ?? {};
    if (!facts || !devices || !anchor || !fresh || fresh.verdict === "stale") return;
    const { start, recipients } = facts;
    const { version, hash } = devices;
    this.#watchman?.handle({ version, hash: toHex(hash), recipients, start, at: anchor.wallClock, proved: fresh.verdict === "proved" });
  }

  /** For this tab, so that a reload can say when the last picture was. */
  remember(): void {
    if (this.firstPictureMs !== undefined && this.lastPicture) tab.remember(this.#name, String(this.lastPicture));
  }
}
