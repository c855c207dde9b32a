//! What is going on, in words a person at the door understands, and what to do about it. Pure.

import { type Change, isAlarm } from "./ghost.ts";
import type { Layer } from "./opener.ts";

export type State =
  | "no-link" | "bad-link" | "too-many" | "insecure" | "no-webtransport" | "no-webcodecs" | "no-crypto"
  | "connecting" | "unreachable" | "refused" | "waiting" | "gone" | "opening" | "checking" | "live" | "stalled"
  | "recorded" | "wrong-device" | "wrong-suite" | "undecodable" | "alarm-identity" | "alarm-forged" | "alarm-tampered" | "alarm-stale";

export interface Status {
  state: State;
  /** `ghost`: pictures are the camera's, but somebody may watch who should not. */
  lock: "opening" | "locked" | "alarm" | "ghost";
  /** `calm`: nothing to do. `warn`: no live picture. `alarm`: do not trust what is shown. */
  tone: "calm" | "warn" | "alarm";
  /** Both empty where the picture speaks for itself. */
  title: string;
  text: string;
  /** A side note while the picture is live. */
  hint?: string;
}

/** Everything the words depend on. Times are this device's, ms since 1970. */
export interface Facts {
  connection: "connecting" | "connected" | "disconnected";
  /** When the hub was lost, or first tried. */
  disconnectedSince: number | undefined;
  closeCode: number | undefined;
  closeReason: string;
  hub: string;
  pinned: boolean;
  /** A session of the camera is announced. */
  present: boolean;
  refused: Layer | undefined;
  suite: number | undefined;
  accepted: boolean;
  alarm: Layer | undefined;
  fresh: "proved" | "claimed" | "stale" | undefined;
  /** When footage was first found stale, if it still is. */
  staleSince: number | undefined;
  /** Camera's clock minus this device's, ms. */
  clockOffset: number;
  undecodable: string | undefined;
  /** When the last picture was drawn, in this run or an earlier one. */
  lastPicture: number | undefined;
  /** A picture of this run is on the screen. */
  pictured: boolean;
  /** Objects were refused lately, and none opened since. */
  refusing: boolean;
}

/** A picture older than this is not called live. */
export const STALL_MS = 3_000;
/** How long old-looking footage has to prove itself by the challenge before it is called old. */
export const STALE_GRACE_MS = 5_500;
/** Two clocks this far apart are worth a word. */
const CLOCK_HINT_MS = 10_000;

const BROWSERS = "Doorframe works in Chrome, Edge and other Chromium browsers, and in Firefox 153 or newer.";

/** A state that no waiting will change: shown instead of a picture. */
export function brokenStatus(state: State, detail = ""): Status {
  const say = (title: string, text: string): Status => ({ state, lock: "opening", tone: "warn", title, text });
  switch (state) {
    case "no-link":
      return say("Open your watch link", "This page needs the whole link, with the keys at its end. “doorframe demo” prints it, and “doorframe page” makes it from the one that “doorframe camera” prints.");
    case "bad-link":
      return say("This watch link does not work", `${detail} Copy the whole link again.`);
    case "too-many":
      return say("Too many cameras", `${detail} Open the others in a second page.`);
    case "insecure":
      return say("This page was not loaded securely", "Open it as https://… or at http://127.0.0.1 on the computer that runs Doorframe. Browsers switch encryption off on other addresses.");
    case "no-webtransport":
      return say("This browser cannot watch", `It has no WebTransport. ${BROWSERS}`);
    case "no-webcodecs":
      return say("This browser cannot watch", `It has no WebCodecs. ${BROWSERS}`);
    default:
      return say("This browser cannot watch", `It cannot check Ed25519 signatures. ${BROWSERS}`);
  }
}

export function status(facts: Facts, now: number, clock: (ms: number) => string): Status {
  const calm = (state: State, title: string, text = ""): Status => ({ state, lock: "opening", tone: "calm", title, text });
  const warn = (state: State, title: string, text: string): Status => ({ state, lock: "opening", tone: "warn", title, text });
  const alarm = (state: State, title: string, text: string): Status => ({ state, lock: "alarm", tone: "alarm", title, text });
  const lastPicture = facts.lastPicture === undefined ? "" : ` Last picture at ${clock(facts.lastPicture)}.`;

  if (facts.refused) {
    switch (facts.refused) {
      case "session.identity":
        return alarm("alarm-identity", "This is not your camera", "Something answers under your camera's name with a different identity. Do not trust it. If you replaced or reset the camera, pair it again; otherwise ask who runs the hub.");
      case "session.recipient":
        return warn("wrong-device", "This device is not on the camera's list", "The camera does not seal its pictures to the keys in this link. They may be of an earlier run, or from before this device changed its key: run “doorframe page” again, or take the link that “doorframe camera” prints now.");
      case "session.suite":
        return warn("wrong-suite", "The camera uses a cipher that browsers lack", `${facts.suite === 0xf001 ? "It seals with ChaCha20-Poly1305." : "Its cipher suite is unknown here."} Set the camera to AES-256-GCM, or watch with “doorframe watch”.`);
      default:
        return alarm("alarm-forged", "What arrives does not come from your camera", `The start of the session does not check out (${facts.refused}). The hub, or something on the way, delivers a forgery or damaged data. No picture is shown.`);
    }
  }
  if (facts.connection === "disconnected" && facts.closeCode === 401) {
    return warn("refused", "The hub refused this link", `It says: “${facts.closeReason || "not allowed"}”. Take the link that “doorframe camera” prints now; if that is refused too, ask whoever runs the hub. This page keeps asking.`);
  }
  const away = facts.disconnectedSince !== undefined && facts.connection !== "connected" && now - facts.disconnectedSince > 1_500;
  if (away) {
    const since = facts.disconnectedSince ?? now;
    const pin = facts.pinned && !facts.pictured && now - since > 10_000 ? " If this link is more than two weeks old, the hub's certificate has changed: make a new link." : "";
    return warn("unreachable", "Cannot reach the hub", `Trying ${facts.hub} since ${clock(since)}. It goes on by itself when the hub answers.${pin}${lastPicture}`);
  }
  if (facts.connection !== "connected") return facts.pictured ? calm("stalled", "Connecting again…") : calm("connecting", "Connecting…");
  if (!facts.present) {
    return facts.pictured
      ? warn("gone", "The camera is gone", `${lastPicture.trim()} It has lost power or its network, or was switched off. This page waits for it.`)
      : warn("waiting", "The camera is not there", `The hub answers, but the camera is not connected to it.${lastPicture} The picture starts by itself when it comes.`);
  }
  if (facts.undecodable !== undefined) {
    return warn("undecodable", "This browser cannot decode the picture", `The camera sends ${facts.undecodable}. Try Chrome or Edge, or set the camera to H.264.`);
  }
  if (facts.accepted && facts.fresh === "stale" && facts.staleSince !== undefined) {
    if (now - facts.staleSince < STALE_GRACE_MS) return warn("checking", "Checking that this is live…", "The camera's clock differs from this device's, so the camera is asked to sign a number drawn just now.");
    return alarm("alarm-stale", "This may be old footage", `By the camera's clock it was filmed ${difference(facts.clockOffset)} and nothing proves otherwise. Either the clock of the camera or of this device is wrong, or somebody replays a recording. Do not rely on it.`);
  }
  if (facts.alarm) {
    return alarm("alarm-tampered", "Pictures were tampered with", `The camera's signed count does not match what arrived (${facts.alarm}). Somebody who holds keys of this camera, or the camera itself, sent different pictures. Do not rely on this session.`);
  }
  const fed = facts.lastPicture !== undefined && now - facts.lastPicture <= STALL_MS;
  if (facts.pictured && !fed) {
    return facts.refusing
      ? warn("stalled", "Pictures arrive that cannot be verified", `They are not shown.${lastPicture} If this stays, the hub or the network damages what the camera sends.`)
      : warn("stalled", "Waiting for the next picture", `The camera is connected, but nothing arrives.${lastPicture}`);
  }
  if (!facts.pictured) {
    return facts.refusing
      ? warn("opening", "Pictures arrive that cannot be verified", "They are not shown. If this stays, the hub or the network damages what the camera sends.")
      : calm("opening", "Opening…");
  }
  const live: Status = { state: "live", lock: "locked", tone: "calm", title: "", text: "" };
  if (Math.abs(facts.clockOffset) > CLOCK_HINT_MS) {
    live.hint = `Camera's clock is ${span(Math.abs(facts.clockOffset))} ${facts.clockOffset > 0 ? "ahead" : "behind"}`;
  }
  return live;
}

/** The same, with the lock as it must look while it is not known who may watch. */
export function withDevices(said: Status, change: Change | undefined): Status {
  return isAlarm(change) && said.lock !== "alarm" ? { ...said, lock: "ghost" } : said;
}

function difference(offset: number): string {
  return `${span(Math.abs(offset))} ${offset < 0 ? "ago" : "in the future"}`;
}

/** `40 seconds`, `3 hours`. */
export function span(ms: number): string {
  const units: [string, number][] = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000], ["second", 1_000]];
  const [unit, length] = units.find(([, length]) => ms >= length) ?? ["second", 1_000];
  const count = Math.round(ms / length);
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
