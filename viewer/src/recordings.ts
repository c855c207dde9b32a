//! The past of one camera, for the page: what the bar shows, which moment was chosen, and what plays. No DOM.

import { Archive, type ArchiveError, type ArchiveOptions, type EpochEvents } from "./archive.ts";
import type { Store } from "./carriage.ts";
import { type Decoding, type Frame, Player, type Speed } from "./player.ts";
import { Tape } from "./tape.ts";
import { dayAfter, dayOf, daysOf, hoursOf, type HourTotal, joinSpans, MINUTE_MS, placeEpochs, type Slot, type Span, windowOf, type Zoom } from "./timeline.ts";

/** Something that happened, in its place on the bar. */
export interface Mark {
  at: number;
  kind: "motion" | "doorbell";
}

/** How often what is in sight is asked for again. */
const REFRESH_MS = 5_000;
/** Recordings that end so shortly ago go on. */
const GROWING_MS = 15_000;
/** So close to now is live. */
const EDGE_MS = 3_000;

export class Recordings {
  readonly archive: Archive;
  readonly tape: Tape;
  readonly player: Player;
  zoom: Zoom = "hour";
  /** Midnight of the day that was chosen; `undefined`: the time up to now. */
  day: number | undefined;
  /** What is recorded of what is in sight, in order. */
  spans: Span[] = [];
  marks: Mark[] = [];
  hours: HourTotal[] = [];
  /** Why the listing did not come, until it does. */
  error: ArchiveError | undefined;
  /** The listing was read once. */
  known = false;
  /** From the newest choice of a moment to its picture, ms. */
  seekMs: number | undefined;

  readonly #now: () => number;
  readonly #ticks: () => number;
  /** By hour. */
  readonly #marks = new Map<number, Mark[]>();
  #window: Span | undefined;
  #held = false;
  #asked = "";
  #askedAt = -Infinity;
  #chosenAt: number | undefined;

  /** `now`: this device's wall clock, `ticks`: a clock that does not jump; both ms. */
  constructor(store: Store, options: ArchiveOptions, decoding: Decoding, draw: (frame: Frame) => void, now: () => number, ticks: () => number) {
    this.#now = now;
    this.#ticks = ticks;
    this.archive = new Archive(store, options, now);
    this.tape = new Tape(this.archive);
    this.player = new Player(this.archive, this.tape, decoding, (frame) => {
      if (this.#chosenAt !== undefined) this.seekMs = ticks() - this.#chosenAt;
      this.#chosenAt = undefined;
      draw(frame);
    }, ticks);
    this.player.mayGrow = (end) => now() - end < GROWING_MS;
  }

  /** The past is shown, not the present. */
  get past(): boolean {
    return this.player.mode !== "idle";
  }

  /** The moment of the picture, or now. */
  get at(): number {
    return this.past ? this.player.at : this.#now();
  }

  get days(): number[] {
    return daysOf(this.hours);
  }

  /** What the bar shows. It stays while a finger is on it, and while what plays is well within. */
  get window(): Span {
    const [now, at] = [this.#now(), this.at];
    const kept = this.#window;
    if (kept && this.#held) return kept;
    if (kept && this.past && (this.zoom !== "day" || this.day !== undefined)) {
      const margin = (kept.to - kept.from) * 0.02;
      if (at >= kept.from + margin && at <= kept.to - margin) return kept;
    }
    return (this.#window = windowOf(this.zoom, this.day, at, now));
  }

  setZoom(zoom: Zoom): void {
    this.zoom = zoom;
    this.#window = undefined;
  }

  /** Shows a day and goes to its first recording; today is the time up to now. */
  chooseDay(day: number): void {
    const today = dayOf(this.#now());
    this.day = day === today ? undefined : day;
    this.#window = undefined;
    if (this.day === undefined) return this.toLive();
    this.zoom = "day";
    const first = this.hours.find(({ hour }) => dayOf(hour * 3_600_000) === day);
    void this.tape.find(Math.max(day, (first?.hour ?? 0) * 3_600_000)).then((slot) => {
      if (this.day === day) this.seek(slot && slot.from < dayAfter(day) ? slot.from : day, true);
    }, () => this.seek(day, true));
  }

  /** Goes to a moment; without `settle` a finger is still moving, and the bar keeps still under it. */
  seek(at: number, settle: boolean): void {
    this.#held = !settle;
    const now = this.#now();
    if (at > now - EDGE_MS && settle) return this.toLive();
    // From live on it goes on playing; from a pause it stays paused.
    if (!this.past) this.player.wanted = true;
    this.#chosenAt = this.#ticks();
    this.player.seek(Math.min(at, now), settle);
    if (this.player.mode === "idle") this.player.mode = "loading";
  }

  toLive(): void {
    this.#held = false;
    this.day = undefined;
    this.#window = undefined;
    this.player.stop();
    this.player.setSpeed(1);
  }

  setSpeed(speed: Speed): void {
    this.player.setSpeed(speed);
  }

  /** To be called at each refresh of the screen. */
  tick(): void {
    const { player } = this;
    player.tick();
    // What plays has caught up with the present.
    if (player.mode === "end" && player.wanted && player.drawn > 0 && this.#now() - player.at < MINUTE_MS) this.toLive();
  }

  /** To be called now and then: asks for what is in sight, if it may have changed. */
  refresh(): void {
    if (this.archive.kept !== true) return;
    const window = this.window;
    const key = `${this.zoom} ${this.day} ${Math.round(window.from / MINUTE_MS)}`;
    const ticks = this.#ticks();
    if (key === this.#asked && ticks - this.#askedAt < REFRESH_MS) return;
    this.#asked = key;
    this.#askedAt = ticks;
    this.#load(window).then(
      () => { this.error = undefined; },
      (error: ArchiveError) => { this.error = error; },
    );
  }

  async #load(window: Span): Promise<void> {
    this.hours = await this.archive.days();
    const spans = await this.tape.spans({ from: window.from - MINUTE_MS, to: window.to + MINUTE_MS });
    this.spans = joinSpans(spans);
    this.known = true;
    // An hour of events is half a megabyte, as every epoch has an object, whether anything happened or not: a bar of a day shows those known.
    const present = new Set(this.hours.map(({ hour }) => hour));
    for (const hour of this.zoom === "day" ? [] : hoursOf(window).filter((hour) => present.has(hour))) {
      const [events, entries] = await Promise.all([this.archive.events(hour), this.archive.hour(hour)]);
      this.#marks.set(hour, events.length > 0 ? marksOf(events, placeEpochs(entries)) : []);
    }
    this.marks = [...this.#marks.values()].flat().sort((a, b) => a.at - b.at);
  }
}

/** Events at their epochs: as exact as an epoch is long. */
function marksOf(found: EpochEvents[], slots: Slot[]): Mark[] {
  const places = new Map(slots.map((slot) => [`${slot.session} ${slot.epoch}`, slot]));
  const marks: Mark[] = [];
  for (const { session, epoch, events } of found) {
    const slot = places.get(`${session} ${epoch}`);
    for (const { kind } of events) if (slot && kind !== "still") marks.push({ at: slot.from, kind });
  }
  return marks;
}
