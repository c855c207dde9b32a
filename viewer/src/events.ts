//! What happened before the camera, as it is sealed (docs/wire.md §7). Pure.

import { type Bytes, Reader } from "./bytes.ts";

/** One object an epoch, whatever happened. */
export const EVENT = "event";
/** A press of the doorbell, at once. */
export const BELL = "bell";

/** Something that the camera saw, or that somebody rang. */
export interface Event {
  kind: "motion" | "still" | "doorbell";
  /** Ticks of 1/90000 s. */
  mediaTime: number;
  /** Part of what is watched, in thousandths. */
  area: number;
  /** In tenths of what is just taken for motion. */
  score: number;
}

const PLAINTEXT = 256;
const KINDS = { 1: "motion", 2: "still", 3: "doorbell" } as const;
const MOST_EVENTS = 8;
const MOST_AREA = 1_000;

/** Events of a plaintext of the event track, up to the zeros that fill it. `undefined` if there is anything else in it. */
export function parseEvents(plaintext: Bytes): Event[] | undefined {
  if (plaintext.length !== PLAINTEXT) return undefined;
  const reader = new Reader(plaintext);
  const events: Event[] = [];
  for (;;) {
    const kind = reader.u8();
    if (kind === 0) return reader.rest().every((byte) => byte === 0) ? events : undefined;
    if (kind < 1 || kind > 3 || events.length === MOST_EVENTS) return undefined;
    const event: Event = { kind: KINDS[kind as 1 | 2 | 3], mediaTime: Number(reader.u64()), area: reader.u16(), score: reader.u16() };
    if (event.area > MOST_AREA || (event.kind === "doorbell" && (event.area > 0 || event.score > 0))) return undefined;
    events.push(event);
  }
}

/** The one doorbell of a plaintext of the bell track. `undefined` if it is anything else. */
export function parseBell(plaintext: Bytes): Event[] | undefined {
  const events = parseEvents(plaintext);
  return events?.length === 1 && events[0]!.kind === "doorbell" ? events : undefined;
}

/** Gives those that are new: a doorbell is sealed twice, and told once. `most` bounds what a camera that is not honest can do. */
export class Told {
  readonly #keys = new Set<string>();

  news(events: readonly Event[], most = 16): Event[] {
    return events.filter(({ kind, mediaTime }) => {
      const key = `${kind} ${mediaTime}`;
      if (this.#keys.has(key) || this.#keys.size >= most) return false;
      this.#keys.add(key);
      return true;
    });
  }
}
