//! Time on the bar: where recordings lie, which part of them is in sight, and where a finger points. Pure.
//!
//! Recordings are placed by the hub's clock, as only that is known without fetching them; what is said beside a picture is the camera's.

export const SECOND_MS = 1_000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
/** An epoch's length where nothing tells a better one. */
const EPOCH_MS = 2_000;
/** From one epoch stored to the next: an epoch may last up to three of its lengths (docs/wire.md §2), and storing takes its time. */
const NEXT_MS = 7_000;
/** The same where numbers between are not there: passed over by a long epoch before, or missing. */
const NEXT_BUT_MS = 3_000;
/** Epochs in an hour that is full but for what no eye can see on a bar of a day. */
const FULL_HOUR = 1_790;

/** What is kept of an hour since 1970, UTC. */
export interface HourTotal {
  hour: number;
  epochs: number;
  bytes: number;
}

/** An epoch in the listing of an hour. */
export interface Entry {
  /** Hex. */
  session: string;
  epoch: number;
  /** By the hub's clock, ms since 1970. */
  stored: number;
  bytes: number;
}

/** From one moment to another, ms since 1970. */
export interface Span {
  from: number;
  to: number;
}

/** An epoch in its place. */
export interface Slot extends Span {
  session: string;
  epoch: number;
}

/** Listings put in order, each epoch from the end of the one before it to when it was stored. Of two of one epoch, the larger counts. */
export function placeEpochs(entries: readonly Entry[]): Slot[] {
  const unique = new Map<string, Entry>();
  for (const entry of entries) {
    const key = `${entry.session} ${entry.epoch}`;
    const other = unique.get(key);
    if (!other || entry.bytes > other.bytes) unique.set(key, entry);
  }
  const sorted = [...unique.values()].sort((a, b) => a.stored - b.stored || a.epoch - b.epoch);
  const slots: Slot[] = [];
  for (const { session, epoch, stored } of sorted) {
    const before = slots.at(-1);
    let from = stored - EPOCH_MS;
    if (before) {
      const later = before.session === session ? epoch - before.epoch : 0;
      const follows = later > 0 && stored - before.to <= (later === 1 ? NEXT_MS : NEXT_BUT_MS);
      from = follows ? before.to : Math.max(from, before.to);
    }
    slots.push({ session, epoch, from, to: Math.max(stored, from) });
  }
  return slots;
}

/** Spans joined where less than `gap` is between them. They must be in order. */
export function joinSpans(spans: readonly Span[], gap = 500): Span[] {
  const joined: Span[] = [];
  for (const { from, to } of spans) {
    const last = joined.at(-1);
    if (last && from - last.to <= gap) last.to = Math.max(last.to, to);
    else joined.push({ from, to });
  }
  return joined;
}

/** Hours of which the totals tell all that a bar of a day can show. */
export function isFull(total: HourTotal): boolean {
  return total.epochs >= FULL_HOUR;
}

/** The slot at a moment, or else the next one; -1: there is none from then on. */
export function slotAt(slots: readonly Slot[], at: number): number {
  let [low, high] = [0, slots.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (slots[middle]!.to > at) high = middle;
    else low = middle + 1;
  }
  return low < slots.length ? low : -1;
}

export type Zoom = "day" | "hour" | "minutes";
export const ZOOMS: readonly Zoom[] = ["day", "hour", "minutes"];
const LENGTH: Record<Zoom, number> = { day: 24 * HOUR_MS, hour: HOUR_MS, minutes: 10 * MINUTE_MS };

/** Midnight before a moment, in this device's time zone. */
export function dayOf(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}

/** The next midnight: a day may have 23 or 25 hours. */
export function dayAfter(day: number): number {
  const date = new Date(day);
  return date.setDate(date.getDate() + 1);
}

/** What the bar shows. `day`: its midnight, or `undefined` for the time up to now, whose right end is live. */
export function windowOf(zoom: Zoom, day: number | undefined, at: number, now: number): Span {
  if (day === undefined) {
    const edge = now - LENGTH[zoom];
    if (zoom === "day" || at >= edge + LENGTH[zoom] / 2) return { from: edge, to: now };
  } else if (zoom === "day") return { from: day, to: dayAfter(day) };
  const [low, high] = day === undefined ? [-Infinity, now] : [day, Math.min(dayAfter(day), now)];
  const to = Math.min(Math.max(at + LENGTH[zoom] / 2, low + LENGTH[zoom]), high);
  return { from: to - LENGTH[zoom], to };
}

/** 0 at the left end to 1 at the right, beyond for what is out of sight. */
export function positionOf(at: number, window: Span): number {
  return (at - window.from) / (window.to - window.from);
}

/** The moment at a position, which is kept within the ends. */
export function timeAt(position: number, window: Span): number {
  return window.from + Math.min(1, Math.max(0, position)) * (window.to - window.from);
}

/** How far an arrow key goes. */
export function stepOf(zoom: Zoom): number {
  return { day: MINUTE_MS, hour: 10 * SECOND_MS, minutes: SECOND_MS }[zoom];
}

const TICKS = [MINUTE_MS, 2 * MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS, 15 * MINUTE_MS, 30 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS];

/** Round moments of this device's time zone within a window, at most `most` of them. */
export function ticksOf(window: Span, most: number): number[] {
  const length = window.to - window.from;
  const step = TICKS.find((step) => length / step <= most) ?? 24 * HOUR_MS;
  const ticks: number[] = [];
  const midnight = dayOf(window.from);
  for (let tick = midnight + Math.ceil((window.from - midnight) / step) * step; tick < window.to; tick += step) ticks.push(tick);
  return ticks;
}

/** Hours since 1970 that a window touches. */
export function hoursOf(window: Span): number[] {
  const first = Math.floor(window.from / HOUR_MS);
  const last = Math.floor((window.to - 1) / HOUR_MS);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
}

/** Days with recordings, as midnights, the newest first. */
export function daysOf(hours: readonly HourTotal[]): number[] {
  const days = new Set(hours.map(({ hour }) => dayOf(hour * HOUR_MS)));
  return [...days].sort((a, b) => b - a);
}
