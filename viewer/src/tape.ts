//! Recordings as one tape: which epoch is at a moment, which comes after and before another, whatever hours they are listed in.

import type { Archive } from "./archive.ts";
import { type Entry, HOUR_MS, type HourTotal, isFull, joinSpans, hoursOf, placeEpochs, type Slot, slotAt, type Span } from "./timeline.ts";

export type Listings = Pick<Archive, "days" | "hour" | "knownHour">;

export class Tape {
  readonly #archive: Listings;
  /** Placed once a listing: the archive gives the same array while it believes it. */
  readonly #placed = new WeakMap<Entry[], Slot[]>();

  constructor(archive: Listings) {
    this.#archive = archive;
  }

  async #hour(hour: number): Promise<Slot[]> {
    return this.#place(await this.#archive.hour(hour));
  }

  #place(entries: Entry[]): Slot[] {
    let slots = this.#placed.get(entries);
    if (!slots) this.#placed.set(entries, (slots = placeEpochs(entries)));
    return slots;
  }

  async #hours(): Promise<number[]> {
    return (await this.#archive.days()).map(({ hour }) => hour);
  }

  /** The epoch at a moment, or else the next one. */
  async find(at: number): Promise<Slot | undefined> {
    // What is there stays there but for its age: only where nothing is known is the store asked.
    const known = this.#archive.knownHour(Math.floor(at / HOUR_MS));
    const slots = known ? this.#place(known) : [];
    const index = slotAt(slots, at);
    if (index >= 0 && slots[index]!.from <= at) return slots[index];
    for (const hour of await this.#hours()) {
      if (hour < Math.floor(at / HOUR_MS)) continue;
      const slots = await this.#hour(hour);
      const index = slotAt(slots, at);
      if (index >= 0) return slots[index];
    }
    return undefined;
  }

  /** The last epoch that ends at a moment or before. */
  async before(at: number): Promise<Slot | undefined> {
    for (const hour of (await this.#hours()).reverse()) {
      if (hour > Math.floor(at / HOUR_MS)) continue;
      const found = (await this.#hour(hour)).findLast((slot) => slot.to <= at);
      if (found) return found;
    }
    return undefined;
  }

  /** The epoch `step` places after one that was found here, or before it. */
  async beside(slot: Slot, step: 1 | -1): Promise<Slot | undefined> {
    const own = Math.floor(slot.to / HOUR_MS);
    for (const listing of [() => this.#archive.knownHour(own) ?? [], () => this.#archive.hour(own)]) {
      const slots = this.#place(await listing());
      const index = slots.findIndex((other) => other.session === slot.session && other.epoch === slot.epoch);
      const beside = index < 0 ? undefined : slots[index + step];
      if (beside) return beside;
    }
    const hours = await this.#hours();
    const next = step > 0 ? hours.find((hour) => hour > own) : hours.findLast((hour) => hour < own);
    return next === undefined ? undefined : (await this.#hour(next)).at(step > 0 ? 0 : -1);
  }

  /** What is recorded of a window. Where hours are many, full ones are taken as that, without asking for their listing. */
  async spans(window: Span): Promise<Span[]> {
    const hours = hoursOf({ from: window.from, to: window.to + 1 });
    const coarse = hours.length > 3;
    const totals = new Map((await this.#archive.days()).map((total): [number, HourTotal] => [total.hour, total]));
    const found = await Promise.all(hours.map(async (hour): Promise<Span[]> => {
      const total = totals.get(hour);
      if (!total) return [];
      if (coarse && isFull(total)) return [{ from: hour * HOUR_MS, to: (hour + 1) * HOUR_MS }];
      return this.#hour(hour);
    }));
    return joinSpans(found.flat(), coarse ? 5_000 : 500);
  }
}
