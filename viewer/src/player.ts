//! Plays recordings: which epoch is needed, which picture of it is due. No DOM: time and decoded pictures come in, pictures to draw go out.

import { type Archive, ArchiveError } from "./archive.ts";
import { type AccessUnit, MEDIA_RATE } from "./media.ts";
import { follows, isComplete, type OpenedEpoch, type Verdict } from "./recorded.ts";
import type { Tape } from "./tape.ts";
import type { Slot, Span } from "./timeline.ts";

export const SPEEDS = [1, 2, 4, 8, 16] as const;
export type Speed = (typeof SPEEDS)[number];

/** A decoded picture; whoever has it closes it. */
export interface Frame {
  close(): void;
}

export interface Decoding {
  readonly backlog: number;
  decode(serial: number, position: number, unit: AccessUnit): void;
  reset(): void;
}

/** Something that a person is told beside the picture. */
export interface Note {
  kind: "gap" | "incomplete" | "unclosed" | "undelivered" | "failed";
  /** An alarm stays until another moment is chosen. */
  alarm: boolean;
  span?: Span;
  missing?: number;
  objects?: number;
  error?: ArchiveError;
  /** When it was found, by `now`. */
  at: number;
}

export type PlayerMode =
  /** Nothing was chosen. */
  | "idle"
  | "loading" | "playing" | "paused"
  /** Nothing is recorded at the moment that was chosen. */
  | "gap"
  /** Nothing is recorded from there on. */
  | "end"
  /** What should be there cannot be shown. */
  | "failed";

/** Pauses between epochs that are none. */
const GAP_MS = 1_500;
/** What was filmed so shortly after the last recording may be on its way to the store: the last recording is shown. */
const UNSTORED_MS = 8_000;
/** Pictures that are decoded ahead: decoders have few to give. */
const AHEAD = 5;
/** Where more may be recorded any moment, it is looked for so often, at such a distance. */
const TRIES = 6;
const TRY_MS = 500;
/** A decoder that cannot follow for so long gets keyframes only, until another speed or moment is chosen. */
const STARVED_MS = 700;
/** How long words about an epoch that cannot be shown stand before playing goes on after it. */
const FAILED_MS = 1_500;
/** How long the last pictures of an epoch are waited for. */
const TAIL_MS = 100;
/** A jump of the clock beyond this is a tab that slept, not time to be played. */
const LONGEST_TICK_MS = 400;

interface Loaded {
  slot: Slot;
  epoch: OpenedEpoch;
  units: { position: number; unit: AccessUnit; ms: number }[];
  /** Of media time, ms. */
  length: number;
  serial: number;
}

export class Player {
  mode: PlayerMode = "idle";
  speed: Speed = 1;
  /** Whether it plays as soon as it can. */
  wanted = false;
  note: Note | undefined;
  alarm: Note | undefined;
  gap: Span | undefined;
  /** The moment that was chosen or is playing, by the hub's clock. */
  at = 0;
  /** When what is on the screen was filmed by the camera's signed clock, and when it was stored. */
  shown: { filmed: number; stored: number; verdict: Verdict; session: string; epoch: number } | undefined;
  drawn = 0;

  readonly #archive: Pick<Archive, "epoch">;
  readonly #tape: Tape;
  readonly #decoding: Decoding;
  readonly #draw: (frame: Frame) => void;
  readonly #now: () => number;
  #loaded: Loaded | undefined;
  #index = 0;
  #offset = 0;
  #serial = 0;
  /** Pictures before this are decoded only because later ones build on them. */
  #showFrom = 0;
  /** Counts choices: what was asked for before the newest is let go. */
  #choice = 0;
  #target: { at: number; settle: boolean } | undefined;
  #seeking = false;
  #moving = false;
  #queue: { frame: Frame; loaded: Loaded; ms: number; index: number }[] = [];
  #shownIndex = 0;
  #last: number | undefined;
  #lagging = 0;
  #sparse = false;
  #failedAt = 0;
  #failedSlot: Slot | undefined;
  /** The epoch whose followers are being fetched. */
  #ahead = 0;
  #atEnd = 0;
  #tries = 0;
  #tryAt: number | undefined;

  /** Whether recordings may go on after a moment that they end at. Asked at their own speed only: what is faster has caught up. */
  mayGrow: (end: number) => boolean = () => false;

  /** `draw` takes over the frame. `now`: ms, of a clock that does not jump. */
  constructor(archive: Pick<Archive, "epoch">, tape: Tape, decoding: Decoding, draw: (frame: Frame) => void, now: () => number) {
    this.#archive = archive;
    this.#tape = tape;
    this.#decoding = decoding;
    this.#draw = draw;
    this.#now = now;
  }

  /** Something is being fetched that was asked for, or that is due. */
  get busy(): boolean {
    return this.mode === "loading" || this.#seeking;
  }

  /** Goes to a moment. Without `settle`, as while a finger moves, only the keyframe before it is shown. */
  seek(at: number, settle: boolean): void {
    this.at = at;
    this.#tries = 0;
    this.#tryAt = undefined;
    this.#target = { at, settle };
    this.#choice++;
    this.note = undefined;
    this.alarm = undefined;
    if (!this.#seeking) void this.#seekAll();
  }

  play(): void {
    this.wanted = true;
    if (this.mode === "gap" && this.gap) this.seek(this.gap.to, true);
    else if (this.mode === "paused") this.#resume();
  }

  pause(): void {
    this.wanted = false;
    const waits = this.mode === "loading" && this.#tryAt !== undefined;
    if (this.mode === "playing" || waits) this.mode = "paused";
    this.#tryAt = undefined;
  }

  setSpeed(speed: Speed): void {
    this.speed = speed;
    this.#sparse = false;
    this.#lagging = 0;
  }

  /** One picture on, or back. */
  async step(by: 1 | -1): Promise<void> {
    this.pause();
    const loaded = this.#loaded;
    if (!loaded || this.#seeking || this.#moving || this.mode !== "paused") return;
    const choice = ++this.#choice;
    const index = this.#shownIndex + by;
    if (loaded.units[index]) return this.#show(loaded, index);
    const slot = await this.#quietly(this.#tape.beside(loaded.slot, by));
    const other = slot && (await this.#load(slot, choice));
    if (!other || choice !== this.#choice) return;
    this.#check(loaded, other);
    this.#show(other, by > 0 ? 0 : other.units.length - 1);
  }

  /** Nothing is played any more, and nothing kept of it. */
  stop(): void {
    this.#choice++;
    this.#target = undefined;
    this.mode = "idle";
    this.wanted = false;
    this.note = undefined;
    this.alarm = undefined;
    this.shown = undefined;
    this.#loaded = undefined;
    this.#dropQueue();
    this.#decoding.reset();
  }

  async #seekAll(): Promise<void> {
    this.#seeking = true;
    for (let target = this.#target; target; target = this.#target) {
      this.#target = undefined;
      const choice = this.#choice;
      try {
        await this.#seekTo(target.at, target.settle, choice);
      } catch (error) {
        if (choice === this.#choice) this.#fail(error);
      }
    }
    this.#seeking = false;
  }

  async #seekTo(at: number, settle: boolean, choice: number): Promise<void> {
    if (this.mode !== "paused" && this.mode !== "playing") this.mode = "loading";
    else if (this.mode === "playing") this.mode = "paused";
    // What still comes out of the decoder is of the moment before.
    this.#showFrom = Infinity;
    this.#dropQueue();
    let slot = await this.#tape.find(at);
    if (!slot) {
      const last = await this.#tape.before(at);
      if (last && at - last.to < UNSTORED_MS) slot = last;
    }
    if (choice !== this.#choice && settle) return;
    if (!slot || slot.from > at + GAP_MS) {
      const before = await this.#tape.before(at);
      if (choice !== this.#choice) return;
      this.gap = { from: before?.to ?? -Infinity, to: slot?.from ?? Infinity };
      this.mode = slot ? "gap" : "end";
      this.#loaded = undefined;
      this.#dropQueue();
      return;
    }
    this.#failedSlot = slot;
    const loaded = await this.#load(slot, choice);
    if (!loaded || (choice !== this.#choice && settle)) return;
    const share = (at - slot.from) / Math.max(1, slot.to - slot.from);
    const ms = Math.min(1, Math.max(0, share)) * loaded.length;
    const index = Math.max(0, loaded.units.findLastIndex((unit) => unit.ms <= ms));
    this.#show(loaded, settle ? index : keyframeBefore(loaded, index));
    // A finger may have gone on meanwhile.
    this.at = this.#target?.at ?? at;
    if (settle && this.wanted) this.#resume();
  }

  /** Fetches and opens an epoch. `undefined` if something else was chosen meanwhile. */
  async #load(slot: Slot, choice: number): Promise<Loaded | undefined> {
    const epoch = await this.#archive.epoch(slot.session, slot.epoch);
    if (choice !== this.#choice && !this.#target) return undefined;
    const { mediaTime } = epoch.verdict.opening;
    const units = epoch.units.filter(({ track }) => track === "video").map(({ position, unit }) => ({
      position, unit, ms: ((unit.mediaTime - mediaTime) * 1_000) / MEDIA_RATE,
    }));
    if (units.length === 0) throw new ArchiveError("absent");
    const [last, before] = [units.at(-1)!.ms, units.at(-2)?.ms ?? 0];
    const length = last + Math.min(Math.max(last - before, 1), 1_000);
    return { slot, epoch, units, length, serial: 0 };
  }

  /** Decodes what it takes to show one picture, and stays there. */
  #show(loaded: Loaded, index: number): void {
    this.#dropQueue();
    this.#decoding.reset();
    this.#enter(loaded);
    this.#noteOf(loaded);
    const unit = loaded.units[index]!;
    this.#showFrom = unit.ms;
    this.#offset = unit.ms;
    this.#shownIndex = index;
    this.mode = "paused";
    this.#place();
    for (this.#index = keyframeBefore(loaded, index); this.#index <= index; this.#index++) this.#feed(loaded);
  }

  #enter(loaded: Loaded): void {
    loaded.serial = ++this.#serial;
    this.#loaded = loaded;
    this.#index = 0;
    this.#atEnd = 0;
    this.#showFrom = -Infinity;
  }

  #feed(loaded: Loaded): void {
    const { position, unit } = loaded.units[this.#index]!;
    this.#decoding.decode(loaded.serial, position, unit);
  }

  #resume(): void {
    this.mode = "playing";
    this.#last = undefined;
    this.#sparse = false;
    this.#lagging = 0;
  }

  /** A picture came out of the decoder. */
  handlePicture(frame: Frame, mediaTime: number): void {
    const loaded = this.#loaded;
    const index = loaded?.units.findIndex(({ unit }) => Math.abs(unit.mediaTime - mediaTime) <= 1) ?? -1;
    // The last pictures of an epoch may come out when the next one is entered.
    if (!loaded || index < 0 || this.mode === "idle") return frame.close();
    const { ms } = loaded.units[index]!;
    if (ms < this.#showFrom - 0.1) return frame.close();
    this.#queue.push({ frame, loaded, ms, index });
    if (this.mode !== "playing") this.#drawDue(Infinity);
  }

  /** To be called at each refresh of the screen. */
  tick(): void {
    const now = this.#now();
    if (this.mode === "failed" && this.wanted && now - this.#failedAt > FAILED_MS && !this.#seeking) void this.#advance();
    if (this.#tryAt !== undefined && now >= this.#tryAt && this.mode === "loading" && !this.#seeking) void this.#advance();
    if (this.mode !== "playing") return;
    const elapsed = Math.min(now - (this.#last ?? now), LONGEST_TICK_MS);
    this.#last = now;
    const loaded = this.#loaded;
    if (!loaded || this.#moving) return;
    const { units } = loaded;
    const fed = this.#index > 0 ? units[this.#index - 1]!.ms : 0;
    const wished = this.#offset + elapsed * this.speed;
    // Not beyond what the decoder was given by more than a picture: then playing is slower, and nothing is jumped over.
    const limit = this.#index < units.length ? Math.max(fed, units[this.#index]!.ms) : loaded.length;
    this.#offset = Math.min(wished, this.#sparse ? loaded.length : limit);
    const lags = !this.#sparse && wished > limit && this.#decoding.backlog >= AHEAD;
    this.#lagging = lags ? this.#lagging + elapsed : 0;
    if (this.#lagging > STARVED_MS) this.#sparse = true;
    while (this.#index < units.length && this.#decoding.backlog + this.#queue.length < AHEAD) {
      if (!this.#sparse || units[this.#index]!.unit.keyframe) this.#feed(loaded);
      this.#index++;
    }
    this.#drawDue(this.#offset);
    this.#place();
    this.#prefetch(loaded);
    if (this.#offset < loaded.length || this.#index < units.length) return;
    this.#atEnd += elapsed;
    const decoded = this.#decoding.backlog === 0 && this.#queue.length === 0;
    if (decoded || this.speed > 1 || this.#atEnd > TAIL_MS) void this.#advance();
  }

  #drawDue(until: number): void {
    let due = -1;
    for (const [i, { ms }] of this.#queue.entries()) if (ms <= until) due = i;
    if (due < 0) return;
    const taken = this.#queue.splice(0, due + 1);
    const { frame, loaded, ms, index } = taken.pop()!;
    for (const passed of taken) passed.frame.close();
    const { verdict, stored, epoch } = loaded.epoch;
    const filmed = verdict.opening.wallClock / 1_000 + ms;
    this.shown = { filmed, stored: stored / 1_000, verdict, session: loaded.slot.session, epoch };
    this.#shownIndex = index;
    this.drawn++;
    this.#draw(frame);
  }

  #dropQueue(): void {
    for (const { frame } of this.#queue) frame.close();
    this.#queue = [];
  }

  #place(): void {
    const loaded = this.#loaded;
    if (!loaded) return;
    const { from, to } = loaded.slot;
    this.at = from + Math.min(1, this.#offset / loaded.length) * (to - from);
  }

  /** Fetches what is played next while this plays: more of it the faster it goes. */
  #prefetch(loaded: Loaded): void {
    if (this.#ahead === loaded.serial) return;
    this.#ahead = loaded.serial;
    const depth = Math.min(4, 1 + Math.floor(this.speed / 4));
    void (async () => {
      let slot: Slot | undefined = loaded.slot;
      for (let i = 0; i < depth && slot && this.#loaded === loaded; i++) {
        slot = await this.#tape.beside(slot, 1);
        if (slot) await this.#archive.epoch(slot.session, slot.epoch);
      }
    })().catch(() => {}); // Said when its turn comes.
  }

  /** On to the next epoch there is, over a gap if need be. */
  async #advance(): Promise<void> {
    if (this.#moving) return;
    this.#moving = true;
    this.#tryAt = undefined;
    const choice = this.#choice;
    const [loaded, from] = [this.#loaded, this.#loaded?.slot ?? this.#failedSlot];
    let next: Slot | undefined;
    const late = setTimeout(() => { if (choice === this.#choice && this.#moving) this.mode = "loading"; }, 300);
    try {
      next = from && (await this.#tape.beside(from, 1));
      if (choice !== this.#choice) return;
      if (!next && from && this.wanted && this.speed === 1 && this.#tries < TRIES && this.mayGrow(from.to)) {
        this.#tries++;
        this.#tryAt = this.#now() + TRY_MS;
        this.mode = "loading";
        return;
      }
      this.#tries = 0;
      if (!next) {
        this.mode = "end";
        this.gap = { from: from?.to ?? -Infinity, to: Infinity };
        return;
      }
      const other = await this.#load(next, choice);
      if (!other || choice !== this.#choice) return;
      if (loaded) this.#check(loaded, other);
      this.#dropQueue();
      this.#enter(other);
      this.#noteOf(other);
      this.#offset = 0;
      this.mode = this.wanted ? "playing" : "paused";
      this.#last = this.#now();
      this.#place();
    } catch (error) {
      if (choice !== this.#choice) return;
      this.#failedSlot = next;
      if (next) this.at = next.from;
      this.#loaded = undefined;
      this.#fail(error);
    } finally {
      clearTimeout(late);
      this.#moving = false;
    }
  }

  /** Whether one epoch follows the other by the camera's chain. */
  #check(one: Loaded, other: Loaded): void {
    const [before, after] = one.slot.from <= other.slot.from ? [one, other] : [other, one];
    const span = { from: before.slot.to, to: after.slot.from };
    const at = this.#now();
    if (before.slot.session === after.slot.session) {
      const fault = follows({ epoch: before.epoch.epoch, closingHash: before.epoch.verdict.closingHash }, after.epoch.verdict);
      if (fault?.kind === "cut") this.alarm = { kind: "failed", alarm: true, at };
      else if (fault) this.note = { kind: "undelivered", alarm: false, span, at };
    } else if (span.to - span.from > GAP_MS) this.note = { kind: "gap", alarm: false, span, at };
  }

  #noteOf({ epoch }: Loaded): void {
    const { verdict } = epoch;
    const at = this.#now();
    if (epoch.dropped > 0) this.alarm = { kind: "failed", alarm: true, at };
    if (isComplete(verdict)) return;
    if (!verdict.closing) this.note = { kind: "unclosed", alarm: false, at };
    else {
      const video = verdict.missing.find(({ track }) => track === "video");
      if (!video) return;
      const objects = verdict.closing.tracks.find(({ track }) => track === "video")?.objects ?? 0;
      this.note = { kind: "incomplete", alarm: false, missing: video.objects, objects, at };
    }
  }

  #fail(error: unknown): void {
    const known = error instanceof ArchiveError ? error : new ArchiveError("absent");
    const note: Note = { kind: "failed", alarm: known.isAlarm, error: known, at: this.#now() };
    this.note = note;
    if (known.isAlarm) this.alarm = note;
    this.mode = "failed";
    this.#failedAt = this.#now();
    this.#loaded = undefined;
    this.#dropQueue();
  }

  async #quietly<T>(promise: Promise<T>): Promise<T | undefined> {
    try {
      return await promise;
    } catch {
      return undefined;
    }
  }
}

function keyframeBefore({ units }: Loaded, index: number): number {
  return Math.max(0, units.findLastIndex(({ unit }, i) => i <= index && unit.keyframe));
}
