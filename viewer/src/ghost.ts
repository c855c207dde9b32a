//! Ghost devices: is what a camera says of who may watch what it said before (docs/format.md §1)? No clock, no page.
//!
//! A page has no list of its own to set it against. It remembers what was seen last, of each camera.

import { TOLERANCE } from "./freshness.ts";
import type { Storing } from "./support.ts";

/** What a session says of who may watch. Nothing in it is secret. */
export interface Sealing {
  /** Of the device list; 0: none. */
  version: number;
  /** Of the device list, hex. */
  hash: string;
  /** Devices that the session is sealed to. */
  recipients: number;
  /** When the session started by the camera's clock, µs since 1970. */
  start: number;
}

/** A session that is verified and fresh. */
export interface Seen extends Sealing {
  /** Newest moment of it by the camera's clock, µs since 1970. */
  at: number;
  /** It carries this page's challenge: it goes on now, whatever the clocks say. */
  proved: boolean;
}

/** `changed`: a newer list. The others are alarms: an older list, another one of the same version, or more devices under the same list. */
export type ChangeKind = "changed" | "back" | "forked" | "more";

/** `older`: a session from before the one that was seen last, which a hub may still have: says nothing. */
export type Verdict = "first" | "same" | "older" | ChangeKind;

export function judge(before: Sealing | undefined, seen: Seen): Verdict {
  if (!before) return "first";
  if (seen.start < before.start && !seen.proved && seen.at < before.start + TOLERANCE) return "older";
  if (seen.version > before.version) return "changed";
  if (seen.version < before.version) return "back";
  // Version 0 has no hash to compare.
  if (seen.version > 0 && seen.hash !== before.hash) return "forked";
  // Fewer are an expiry that has passed, or a camera that was told to.
  return seen.recipients > before.recipients ? "more" : "same";
}

/** Something a person has to know, until he says that he does. */
export interface Change {
  kind: ChangeKind;
  from: Sealing;
  to: Sealing;
}

/** What is remembered of one camera. */
export interface Memory {
  newest: Sealing;
  pending?: Change;
}

/** What is to be remembered once `seen` was seen. */
export function note(memory: Memory | undefined, seen: Seen): Memory {
  const { version, hash, recipients, start } = seen;
  const newest = { version, hash, recipients, start };
  const verdict = judge(memory?.newest, seen);
  if (!memory || verdict === "first") return { newest };
  if (verdict === "older") return memory;
  const { pending } = memory;
  if (verdict === "same") return pending ? { newest, pending } : { newest };
  // An alarm stays, and of several changes the first "before" does.
  if (verdict === "changed" && pending) return { newest, pending: pending.kind === "changed" ? { ...pending, to: newest } : pending };
  return { newest, pending: { kind: verdict, from: memory.newest, to: newest } };
}

export function isAlarm(change: Change | undefined): boolean {
  return change !== undefined && change.kind !== "changed";
}

/** One thing that happened, and what to do about it. */
export function changeWords({ kind, from, to }: Change): string {
  const sealed = `sealed to ${devices(to.recipients)}, before ${from.recipients}`;
  switch (kind) {
    case "changed":
      return `The list of devices that may watch this camera changed: version ${from.version || "none"} → ${to.version}, ${sealed}. ` +
        "If nobody in your home did that, look at the list with “doorframe devices” and take off whoever you do not know.";
    case "back":
      return to.version === 0
        ? `The camera has no list any more of devices that may watch it: before, it had version ${from.version}; now it is ${sealed}. Unless you reset it, somebody you do not know may be watching: unplug it and pair it again.`
        : `The list of devices that may watch this camera went back: version ${from.version} → ${to.version}, ${sealed}. Unless you set your home up anew, somebody who was taken off may be watching again: unplug the camera and pair it again.`;
    case "forked":
      return `There are two different lists, both of version ${to.version}, of devices that may watch this camera; it is ${sealed}. Somebody may be on it whom no owner put there: unplug the camera and pair it again.`;
    case "more":
      return `This camera is ${sealed}, ` +
        (to.version === 0
          ? "and has no list that says who they are. If you did not add one, somebody you do not know may be watching: unplug the camera and pair it."
          : `but its list of devices is still version ${to.version}. Somebody may be watching who is not on it: unplug the camera and pair it again.`);
  }
}

function devices(count: number): string {
  return count === 1 ? "1 device" : `${count} devices`;
}

/** Remembers one camera's, where the page remembers. Another page may do so too: what it accepted is accepted. */
export class Watchman {
  readonly #storing: Storing;
  readonly #name: string;
  #memory: Memory | undefined;
  #judged = "";

  constructor(storing: Storing, name: string) {
    this.#storing = storing;
    this.#name = name;
    this.#recall();
  }

  get pending(): Change | undefined {
    return this.#memory?.pending;
  }

  /** Each session is judged once: another page may be in the next one already, and its list no way back. */
  handle(seen: Seen): void {
    this.#recall();
    const { version, hash, recipients, start } = seen;
    const key = JSON.stringify([version, hash, recipients, start]);
    if (key === this.#judged) return;
    const memory = note(this.#memory, seen);
    // What is from before says nothing yet.
    if (memory === this.#memory) return;
    this.#judged = key;
    this.#remember(memory);
  }

  /** A person knows what is pending. */
  accept(): void {
    if (this.#memory) this.#remember({ newest: this.#memory.newest });
  }

  #recall(): void {
    this.#memory = parseMemory(this.#storing.recall(this.#name)) ?? this.#memory;
  }

  #remember(memory: Memory): void {
    const text = JSON.stringify(memory);
    if (text !== JSON.stringify(this.#memory)) this.#storing.remember(this.#name, text);
    this.#memory = memory;
  }
}

/** Back from what {@link JSON} made of it. `undefined` where it is none. */
export function parseMemory(text: string | undefined): Memory | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const newest = parseSealing(value["newest"]);
  if (!newest) return undefined;
  const { pending } = value;
  if (!isRecord(pending)) return { newest };
  const [kind, from, to] = [KINDS.find((kind) => kind === pending["kind"]), parseSealing(pending["from"]), parseSealing(pending["to"])];
  return kind && from && to ? { newest, pending: { kind, from, to } } : { newest };
}

const KINDS: readonly ChangeKind[] = ["changed", "back", "forked", "more"];

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function parseSealing(value: unknown): Sealing | undefined {
  if (!isRecord(value)) return undefined;
  const { version, hash, recipients, start } = value;
  const numbers = [version, recipients, start].every((number) => Number.isSafeInteger(number) && (number as number) >= 0);
  if (!numbers || typeof hash !== "string" || !/^[0-9a-f]{64}$/.test(hash)) return undefined;
  return { version, hash, recipients, start } as Sealing;
}
