//! What is going on with recordings, in words. Pure.

import type { ArchiveError } from "./archive.ts";
import type { Note, PlayerMode } from "./player.ts";
import { span, type Status } from "./status.ts";
import type { Span } from "./timeline.ts";

export interface PlaybackFacts {
  mode: PlayerMode;
  note: Note | undefined;
  alarm: Note | undefined;
  gap: Span | undefined;
  /** The clock of the picture that is shown, by the camera and by the hub that stored it, ms since 1970. */
  shown: { filmed: number; stored: number } | undefined;
  /** Since when something is being fetched. */
  loadingSince: number | undefined;
}

/** Two clocks this far apart are worth a word. */
const CLOCK_MS = 15_000;
/** What is loaded sooner needs no words. */
const LOADING_MS = 600;
/** How long a note about an epoch stands. */
const NOTE_MS = 6_000;

/** `now`: as the times of the notes. `live`: what is said of the camera now, whose alarms are not hidden by the past. */
export function playbackStatus(facts: PlaybackFacts, live: Status, now: number, clock: (ms: number) => string): Status {
  const { mode, note, gap } = facts;
  const calm = (title: string, text = ""): Status => ({ state: "recorded", lock: "opening", tone: "calm", title, text });
  const warn = (title: string, text: string): Status => ({ state: "recorded", lock: "opening", tone: "warn", title, text });
  if (live.tone === "alarm") return { ...live, state: "recorded", title: `Live: ${live.title}`, hint: "" };
  if (facts.alarm) {
    const text = facts.alarm.error ? refused(facts.alarm.error) : "An epoch does not follow the one before it by the camera's signed chain.";
    return { state: "recorded", lock: "alarm", tone: "alarm", title: "This recording was tampered with", text: `${text} The hub, or whoever has access to its store, exchanged or cut something. Do not rely on it.` };
  }
  if (facts.loadingSince !== undefined && now - facts.loadingSince > LOADING_MS) return calm("Loading…");
  switch (mode) {
    case "loading":
      return calm("");
    case "gap":
      return warn("Nothing is recorded here", between(gap, clock));
    case "end":
      return warn("Nothing is recorded from here on", `${between(gap, clock)} Go back to live, or choose another time.`.trim());
    case "failed":
      return warn("This part cannot be shown", note?.error ? failed(note.error) : "");
    default: {
      const said: Status = { state: "recorded", lock: "locked", tone: "calm", title: "", text: "", hint: hintOf(facts, now, clock) };
      if (!facts.shown) said.lock = "opening";
      return said;
    }
  }
}

function between(gap: Span | undefined, clock: (ms: number) => string): string {
  if (!gap) return "";
  const [from, to] = [Number.isFinite(gap.from), Number.isFinite(gap.to)];
  if (from && to) return `There is a gap of ${span(gap.to - gap.from)}, from ${clock(gap.from)} to ${clock(gap.to)}. Play goes on after it.`;
  if (to) return `The first recording begins at ${clock(gap.to)}. Play goes there.`;
  return from ? `The last recording ends at ${clock(gap.from)}.` : "";
}

function hintOf({ note, shown, mode }: PlaybackFacts, now: number, clock: (ms: number) => string): string {
  if (note && (mode !== "playing" || now - note.at < NOTE_MS)) return noteWords(note, clock);
  if (shown && Math.abs(shown.stored - shown.filmed) > CLOCK_MS) return `Camera's clock: ${clock(shown.filmed)}. The hub stored it at ${clock(shown.stored)}.`;
  return "";
}

function noteWords(note: Note, clock: (ms: number) => string): string {
  const length = note.span ? span(note.span.to - note.span.from) : "";
  switch (note.kind) {
    case "gap":
      return `Skipped ${length}: nothing is recorded from ${clock(note.span!.from)} to ${clock(note.span!.to)}.`;
    case "undelivered":
      return `Skipped ${length}: the camera filmed on, but the hub does not have it.`;
    case "incomplete":
      return `${note.missing} of ${note.objects} pictures are missing here: the hub does not have them.`;
    case "unclosed":
      return "The end of this part was never signed: some pictures may be missing.";
    case "failed":
      return note.error ? failed(note.error) : "";
  }
}

/** Why it is an alarm. */
function refused(error: ArchiveError): string {
  if (error.why === "replayed") return "What is stored under this moment is another moment of the same session.";
  if (typeof error.why === "object" && "session" in error.why) return `What is stored here is not of a session of your camera (${error.message}).`;
  return `What is stored here is not what your camera signed (${error.message}).`;
}

export function failed(error: ArchiveError): string {
  switch (error.why) {
    case "offline":
      return "The hub cannot be reached.";
    case "absent":
      return "The hub listed this part, but does not have it any more.";
    case "timeout":
      return "The hub does not answer in time.";
    case "too-large":
    case "malformed":
      return "The hub gives an answer that makes no sense.";
    case "unsupported":
      return "This hub speaks an older protocol that has no recordings.";
    case "damaged":
      return "The file is damaged: its checksum does not match.";
    case "replayed":
      return refused(error);
    default:
      if ("session" in error.why && error.why.session === "session.recipient") return "It was sealed before this device was on the camera's list, so this device has no key for it.";
      if ("session" in error.why && error.why.session === "session.suite") return "It was sealed with a cipher that browsers lack. Play it with “doorframe play”.";
      return refused(error);
  }
}
