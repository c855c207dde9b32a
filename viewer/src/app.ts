//! Puts the parts together for one watch link: carriage → opener → decoder → canvas, and the words beside it.

import { Bar } from "./bar.ts";
import { type Bytes, sha256, toHex } from "./bytes.ts";
import type { Carriage, Store } from "./carriage.ts";
import { Decoder } from "./decode.ts";
import type { Link } from "./link.ts";
import type { AccessUnit } from "./media.ts";
import { Page } from "./page.ts";
import { Canvas } from "./picture.ts";
import { failed, playbackStatus } from "./playback.ts";
import type { PlayerMode, Speed } from "./player.ts";
import { Recordings } from "./recordings.ts";
import { captureTime, Stats } from "./stats.ts";
import { brokenStatus, type Facts, type State, type Status, status } from "./status.ts";
import { tab } from "./support.ts";
import { Watch } from "./watch.ts";

const SEEN = "doorframe.seen";
/** After the past, for so long its last picture stands while the first of the present is on its way. */
const RETURN_MS = 600;

/** So long it is said beside the live picture what happened last. */
const HAPPENED_MS = 60_000;
const HAPPENED_WORDS = { motion: "Motion", still: "Motion ended", doorbell: "Doorbell" };

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
  /** What happened last in this session, and when, ms since 1970. */
  happened: Watch["happened"];
  /** From the first attempt to connect to the first picture drawn. */
  firstPictureMs: number | undefined;
  /** Recordings; `undefined` where the page is broken. */
  tape: Tape | undefined;
}

export interface Tape {
  /** The hub announces recordings of this camera; undefined: not known yet. */
  kept: boolean | undefined;
  mode: PlayerMode;
  speed: Speed;
  /** The moment chosen, by the hub's clock; when the picture was filmed, by the camera's. ms since 1970. */
  at: number;
  filmed: number | undefined;
  framesDrawn: number;
  /** From the newest choice of a moment to its picture. */
  seekMs: number | undefined;
  /** First and last moment recorded of what the bar shows. */
  span: [number, number] | undefined;
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
    latencyMs: { p50: undefined, p99: undefined, last: undefined }, fps: 0, kbps: 0, epoch: -1, session: "", fresh: undefined, firstPictureMs: undefined, happened: undefined, tape: undefined,
  };
  expose(() => nothing);
}

function expose(read: () => Statistics): void {
  Object.defineProperty(window, "doorframe", { get: read, configurable: true });
}

export function watchCamera(link: Link, connect: (challenge: Bytes) => Carriage & Store): void {
  const challenge = crypto.getRandomValues(new Uint8Array(16));
  const carriage = connect(challenge);
  const stats = new Stats();
  const tapeStats = new Stats();
  let firstPicture: number | undefined;
  let pictured = false;
  let lastPicture = Number(tab.recall(SEEN)) || undefined;
  /** The picture on the screen is of the present. */
  let present = false;
  let returnedAt = -Infinity;

  const page = new Page(() => {
    const at = recordings.past ? recordings.player.shown?.filmed : lastPicture;
    if (!pictured || at === undefined) return;
    // The form of Sweden's dates is the one that sorts, in local time.
    canvas.save(`${link.camera} ${new Date(at).toLocaleString("sv").replace(/:/g, ".")}.png`);
  });
  page.name(link.camera);
  const canvas = new Canvas(page.canvas);

  const decoder = new Decoder((picture) => {
    const now = wallClock();
    const session = watch.session;
    const { mediaTime } = picture;
    if (recordings.past) return picture.frame.close();
    if (!canvas.draw(picture, watch.waiting > 0, now)) return;
    pictured = true;
    present = true;
    lastPicture = now;
    if (firstPicture === undefined && watch.started !== undefined) firstPicture = now - watch.started;
    const aligned = Math.abs(session?.fresh?.offset ?? 0) < 10_000_000;
    const captured = session?.anchor && aligned ? captureTime(session.anchor, mediaTime) : undefined;
    stats.drawn(captured !== undefined && captured > Math.max(watch.connectedAt, returnedAt) ? wallClock() - captured : undefined, now);
  });
  // What came since the last keyframe: back from the past, the present starts with it at once.
  let recent: [number, number, AccessUnit][] = [];
  const screen = {
    decode: (epoch: number, position: number, unit: AccessUnit) => {
      if (unit.keyframe) recent = [];
      recent.push([epoch, position, unit]);
      if (!recordings.past) decoder.decode(epoch, position, unit);
    },
    reset: () => {
      recent = [];
      decoder.reset();
      stats.forgetLatency();
    },
  };

  const tapeDecoder = new Decoder(({ frame, mediaTime }) => recordings.player.handlePicture(frame, mediaTime));
  const recordings = new Recordings(carriage, link, tapeDecoder, (frame) => {
    canvas.draw({ frame: frame as VideoFrame, mediaTime: 0, late: false }, false, wallClock());
    pictured = true;
    tapeStats.drawn(undefined, wallClock());
  }, wallClock, () => performance.now());
  const bar = new Bar(recordings, wallClock);
  let past = false;
  let loadingSince: number | undefined;
  const turn = () => {
    recordings.tick();
    if (recordings.past !== past) {
      past = recordings.past;
      present = false;
      if (!past) {
        returnedAt = wallClock();
        decoder.reset();
        stats.forgetLatency();
        for (const [epoch, position, unit] of recent) decoder.decode(epoch, position, unit);
      }
      update();
    } else if (past) showBar();
    loadingSince = recordings.player.busy ? (loadingSince ?? performance.now()) : undefined;
    requestAnimationFrame(turn);
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
    pictured: present,
  });
  const seen = () => recordings.past ? pictured : present || (pictured && wallClock() - returnedAt < RETURN_MS);
  const say = (now: number): Status => {
    const live = status(facts(), now, clock);
    if (!recordings.past) return live;
    const { mode, note, alarm, gap, shown } = recordings.player;
    return playbackStatus({ mode, note, alarm, gap, shown, loadingSince }, live, performance.now(), clock);
  };
  const barWords = (): string => {
    const { archive, error, known, hours, spans, window } = recordings;
    if (archive.kept === false) return "This hub keeps no recordings of this camera";
    if (error) return failed(error);
    if (archive.kept === undefined && hours.length === 0) return "";
    if (!known) return "Loading recordings…";
    if (hours.length === 0) return "Nothing is recorded yet";
    return spans.some(({ from, to }) => to > window.from && from < window.to) ? "" : "Nothing is recorded in this time";
  };
  const happenedWords = (now: number): string => {
    const { happened } = watch;
    const shown = happened && !recordings.past && Math.abs(now - happened.at) < HAPPENED_MS;
    return shown ? `${HAPPENED_WORDS[happened.kind]}, ${clock(happened.at)}` : "";
  };
  const showBar = () => bar.update(barWords(), say(wallClock()).state === "live");
  expose(() => {
    const now = wallClock();
    const said = say(now);
    const counters = watch.counters();
    if (decoder.errors > 0) counters.dropped["decode.error"] = decoder.errors;
    if (decoder.skipped > 0) counters.dropped["decode.skipped"] = decoder.skipped;
    const session = watch.session;
    return {
      state: said.state, message: [said.title, said.text, said.hint].filter(Boolean).join(". "), framesDrawn: stats.framesDrawn, ...counters, ...stats.snapshot(now),
      epoch: session?.epoch ?? -1, session: session?.id ?? "", fresh: session?.fresh?.verdict, firstPictureMs: firstPicture, happened: watch.happened && { ...watch.happened },
      tape: tapeStatistics(recordings),
    };
  });

  let fingerprint = "";
  void sha256(link.identity).then((hash) => { fingerprint = toHex(hash.subarray(0, 8)).match(/.{4}/g)!.join("-"); });
  const update = () => {
    const now = wallClock();
    const session = watch.session;
    recordings.refresh();
    page.status(say(now), seen());
    page.happened(happenedWords(now));
    showBar();
    page.details({
      fingerprint,
      session: session?.facts ? session.id : "",
      epoch: session?.epoch ?? -1,
      deviceListVersion: session?.deviceListVersion,
      fresh: recordings.past ? "recorded" : session?.fresh?.verdict,
    });
    const { latencyMs, fps, kbps } = stats.snapshot(now);
    const { opened, lost, dropped } = watch.counters();
    const sum = Object.values(dropped).reduce((total, count) => total + count, 0);
    page.figures({
      latencyMs: latencyMs.p50, p99: latencyMs.p99, fps: recordings.past ? tapeStats.snapshot(now).fps : fps, kbps, opened, lost, dropped: sum, drawn: stats.framesDrawn,
      size: pictured ? `${page.canvas.width} × ${page.canvas.height}` : "",
    });
    watch.handleTimeout();
  };
  setInterval(update, 250);
  update();
  requestAnimationFrame(turn);
  setInterval(() => { if (pictured && lastPicture) tab.remember(SEEN, String(lastPicture)); }, 5_000);

  const retry = () => { if (document.visibilityState === "visible") carriage.retry(); };
  window.addEventListener("online", retry);
  document.addEventListener("visibilitychange", retry);
}

function tapeStatistics({ archive, player, seekMs, spans }: Recordings): Tape {
  const [first, last] = [spans[0], spans.at(-1)];
  return {
    kept: archive.kept, mode: player.mode, speed: player.speed, at: player.at, filmed: player.shown?.filmed, framesDrawn: player.drawn, seekMs,
    span: first && last ? [first.from, last.to] : undefined,
  };
}
