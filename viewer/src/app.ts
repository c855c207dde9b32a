//! Puts the parts together for one watch link: carriage → opener → decoder → canvas, and the words beside it.

import { type Bytes, sha256, toHex } from "./bytes.ts";
import type { Carriage } from "./carriage.ts";
import { Decoder } from "./decode.ts";
import type { Link } from "./link.ts";
import { Page } from "./page.ts";
import { Canvas } from "./picture.ts";
import { captureTime, Stats } from "./stats.ts";
import { brokenStatus, type Facts, type State, status } from "./status.ts";
import { tab } from "./support.ts";
import { Watch } from "./watch.ts";

const SEEN = "doorframe.seen";

/** What tests and the console may read. A new object at each look; changing it changes nothing. */
export interface Statistics {
  state: State;
  message: string;
  framesDrawn: number;
  opened: number;
  lost: number;
  dropped: Record<string, number>;
  alarms: number;
  latencyMs: { p50: number | undefined; p99: number | undefined; last: number | undefined };
  fps: number;
  kbps: number;
  epoch: number;
  session: string;
  fresh: "proved" | "claimed" | "stale" | undefined;
  /** From the first attempt to connect to the first picture drawn. */
  firstPictureMs: number | undefined;
}

/** This device's wall clock in ms, finer than a millisecond while it agrees with the monotonic one. */
export function wallClock(): number {
  const fine = performance.timeOrigin + performance.now();
  const coarse = Date.now();
  return Math.abs(fine - coarse) < 2 ? fine : coarse;
}

function clock(ms: number): string {
  const today = new Date(ms).toDateString() === new Date().toDateString();
  const time: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return today ? new Date(ms).toLocaleTimeString([], time) : new Date(ms).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

export function showBroken(state: State, detail: string): void {
  const page = new Page(() => {});
  const broken = brokenStatus(state, detail);
  page.status(broken, false);
  const nothing: Statistics = {
    state, message: `${broken.title}. ${broken.text}`, framesDrawn: 0, opened: 0, lost: 0, dropped: {}, alarms: 0,
    latencyMs: { p50: undefined, p99: undefined, last: undefined }, fps: 0, kbps: 0, epoch: -1, session: "", fresh: undefined, firstPictureMs: undefined,
  };
  expose(() => nothing);
}

function expose(read: () => Statistics): void {
  Object.defineProperty(window, "doorframe", { get: read, configurable: true });
}

export function watchCamera(link: Link, connect: (challenge: Bytes) => Carriage): void {
  const challenge = crypto.getRandomValues(new Uint8Array(16));
  const carriage = connect(challenge);
  const stats = new Stats();
  let firstPicture: number | undefined;
  let pictured = false;
  let lastPicture = Number(tab.recall(SEEN)) || undefined;

  const page = new Page(() => {
    if (!pictured || lastPicture === undefined) return;
    // The form of Sweden's dates is the one that sorts, in local time.
    canvas.save(`${link.camera} ${new Date(lastPicture).toLocaleString("sv").replace(/:/g, ".")}.png`);
  });
  page.name(link.camera);
  const canvas = new Canvas(page.canvas);

  const decoder = new Decoder((picture) => {
    const now = wallClock();
    const session = watch.session;
    const { mediaTime } = picture;
    if (!canvas.draw(picture, watch.waiting > 0, now)) return;
    pictured = true;
    lastPicture = now;
    if (firstPicture === undefined && watch.started !== undefined) firstPicture = now - watch.started;
    const aligned = Math.abs(session?.fresh?.offset ?? 0) < 10_000_000;
    const captured = session?.anchor && aligned ? captureTime(session.anchor, mediaTime) : undefined;
    stats.drawn(captured !== undefined && captured > watch.connectedAt ? wallClock() - captured : undefined, now);
  });
  const screen = {
    decode: decoder.decode.bind(decoder),
    reset: () => {
      decoder.reset();
      stats.forgetLatency();
    },
  };
  const watch = new Watch(link, carriage, screen, challenge, wallClock);
  watch.onBytes = (bytes) => stats.received(bytes, wallClock());
  void watch.run();

  const facts = (): Facts => ({
    ...watch.facts(),
    hub: link.hub.host,
    pinned: link.certificate !== undefined,
    undecodable: decoder.undecodable,
    lastPicture,
    pictured,
  });
  expose(() => {
    const now = wallClock();
    const said = status(facts(), now, clock);
    const counters = watch.counters();
    if (decoder.errors > 0) counters.dropped["decode.error"] = decoder.errors;
    if (decoder.skipped > 0) counters.dropped["decode.skipped"] = decoder.skipped;
    const session = watch.session;
    return {
      state: said.state, message: [said.title, said.text, said.hint].filter(Boolean).join(". "), framesDrawn: stats.framesDrawn, ...counters, ...stats.snapshot(now),
      epoch: session?.epoch ?? -1, session: session?.id ?? "", fresh: session?.fresh?.verdict, firstPictureMs: firstPicture,
    };
  });

  let fingerprint = "";
  void sha256(link.identity).then((hash) => { fingerprint = toHex(hash.subarray(0, 8)).match(/.{4}/g)!.join("-"); });
  const update = () => {
    const now = wallClock();
    const session = watch.session;
    page.status(status(facts(), now, clock), pictured);
    page.details({
      fingerprint,
      session: session?.facts ? session.id : "",
      epoch: session?.epoch ?? -1,
      deviceListVersion: session?.deviceListVersion,
      fresh: session?.fresh?.verdict,
    });
    const { latencyMs, fps, kbps } = stats.snapshot(now);
    const { opened, lost, dropped } = watch.counters();
    const sum = Object.values(dropped).reduce((total, count) => total + count, 0);
    page.figures({
      latencyMs: latencyMs.p50, p99: latencyMs.p99, fps, kbps, opened, lost, dropped: sum, drawn: stats.framesDrawn,
      size: pictured ? `${page.canvas.width} × ${page.canvas.height}` : "",
    });
    watch.handleTimeout();
  };
  setInterval(update, 250);
  update();
  setInterval(() => { if (pictured && lastPicture) tab.remember(SEEN, String(lastPicture)); }, 5_000);

  const retry = () => { if (document.visibilityState === "visible") carriage.retry(); };
  window.addEventListener("online", retry);
  document.addEventListener("visibilitychange", retry);
}
