//! Puts the parts together: one camera that fills the page, or a tile for each of several of which one may.

import type { Bytes } from "./bytes.ts";
import type { Carriage, Store } from "./carriage.ts";
import type { ChangeKind } from "./ghost.ts";
import { type Link, titlesOf } from "./link.ts";
import { LiveCamera, wallClock } from "./live.ts";
import { Notices } from "./notices.ts";
import { Overview } from "./overview.ts";
import { Page } from "./page.ts";
import type { PlayerMode, Speed } from "./player.ts";
import type { Recordings } from "./recordings.ts";
import { brokenStatus, type State, type Status } from "./status.ts";
import { View } from "./view.ts";

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
  happened: LiveCamera["watch"]["happened"];
  /** From the first attempt to connect to the first picture drawn. */
  firstPictureMs: number | undefined;
  /** What the newest verified session says of who may watch; `change`: not yet accepted. */
  devices: { version: number; recipients: number; change: ChangeKind | undefined } | undefined;
}

/** Of each of several cameras. */
export interface CameraStatistics extends Statistics {
  title: string;
  decoding: boolean;
}

export interface PageStatistics extends Partial<Statistics> {
  /** Of the camera that fills the page are the statistics here; in the overview there are none. */
  view: "camera" | "overview";
  cameras: CameraStatistics[];
  /** Recordings; `undefined` in the overview, and where the page is broken. */
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

export function showBroken(state: State, detail: string): void {
  const page = new Page();
  const broken = brokenStatus(state, detail);
  page.status(broken, false);
  const nothing: PageStatistics = {
    state, message: messageOf(broken), framesDrawn: 0, opened: 0, lost: 0, dropped: {}, alarms: 0,
    latencyMs: { p50: undefined, p99: undefined, last: undefined }, fps: 0, kbps: 0, epoch: -1, session: "", fresh: undefined, firstPictureMs: undefined, happened: undefined, devices: undefined,
    view: "camera", cameras: [], tape: undefined,
  };
  expose(() => nothing);
}

function expose(read: () => PageStatistics): void {
  Object.defineProperty(window, "doorframe", { get: read, configurable: true });
}

export function watchCameras(links: readonly Link[], connect: (link: Link, challenge: Bytes) => Carriage & Store): void {
  const titles = titlesOf(links);
  const cameras = links.map((link, i) => new LiveCamera(link, titles[i]!, connect));
  const view: View = new View(new Page(() => view.save()));
  const notices = new Notices(cameras);
  const rooms = cameras.length > 1 ? new Rooms(cameras, view) : undefined;
  if (!rooms) view.open(cameras[0]!);
  expose(() => pageStatistics(cameras, view));

  const update = () => {
    for (const camera of cameras) camera.update();
    rooms?.update();
    view.update();
    notices.update();
  };
  setInterval(update, 250);
  update();
  const turn = () => {
    view.turn();
    requestAnimationFrame(turn);
  };
  requestAnimationFrame(turn);
  setInterval(() => { for (const camera of cameras) camera.remember(); }, 5_000);

  const retry = () => { if (document.visibilityState === "visible") for (const { carriage } of cameras) carriage.retry(); };
  window.addEventListener("online", retry);
  document.addEventListener("visibilitychange", retry);
}

/** Between the overview and one camera: by choosing, Escape, the button, and the browser's own way back. */
class Rooms {
  readonly #cameras: readonly LiveCamera[];
  readonly #view: View;
  readonly #overview: Overview;
  #leaving = false;
  readonly #back = document.getElementById("back") as HTMLButtonElement;

  constructor(cameras: readonly LiveCamera[], view: View) {
    this.#cameras = cameras;
    this.#view = view;
    this.#overview = new Overview(cameras, (index) => {
      history.pushState({ camera: index }, "");
      this.#enter();
      this.#back.focus();
    });
    this.#back.hidden = false;
    this.#back.addEventListener("click", () => this.#leave());
    window.addEventListener("popstate", () => this.#enter());
    document.addEventListener("keydown", (event) => {
      const elsewhere = document.fullscreenElement || document.querySelector(":popover-open");
      if (event.key === "Escape" && !elsewhere && this.#view.camera) this.#leave();
    });
    this.#enter();
  }

  /** Where the history says we are. */
  #enter(): void {
    this.#leaving = false;
    const index = (history.state as { camera?: number } | null)?.camera;
    const camera = index === undefined ? undefined : this.#cameras[index];
    const before = this.#view.camera;
    if (camera === before && camera) return;
    const chosen = before && this.#cameras.indexOf(before);
    if (camera) {
      this.#view.open(camera, this.#overview.canvas(index!));
      this.#overview.hide();
    } else {
      this.#view.close(chosen === undefined ? undefined : this.#overview.canvas(chosen));
      this.#overview.show(chosen);
    }
  }

  /** Behind a camera in the history there is always the overview. Once: or two quick keys would leave the page. */
  #leave(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    history.back();
  }

  update(): void {
    this.#overview.update();
    const others = this.#cameras.filter((camera) => camera !== this.#view.camera && camera.status(wallClock()).tone === "alarm");
    this.#back.dataset["alarm"] = String(others.length > 0);
    const label = others.length > 0 ? `All cameras. Alarm: ${others.map(({ title }) => title).join(", ")}` : "All cameras";
    if (this.#back.getAttribute("aria-label") !== label) this.#back.setAttribute("aria-label", label);
  }
}

function messageOf({ title, text, hint }: Status): string {
  return [title, text, hint].filter(Boolean).join(". ");
}

function statistics(camera: LiveCamera, said: Status, now: number): Statistics {
  const { session } = camera.watch;
  const { facts, devices } = session ?? {};
  return {
    state: said.state, message: messageOf(said), framesDrawn: camera.stats.framesDrawn, ...camera.counters(), ...camera.stats.snapshot(now),
    epoch: session?.epoch ?? -1, session: session?.id ?? "", fresh: session?.fresh?.verdict, firstPictureMs: camera.firstPictureMs, happened: camera.watch.happened && { ...camera.watch.happened },
    devices: facts && devices && { version: devices.version, recipients: facts.recipients, change: camera.change?.kind },
  };
}

function pageStatistics(cameras: readonly LiveCamera[], view: View): PageStatistics {
  const now = wallClock();
  const { camera, recordings } = view;
  const all = cameras.map((camera) => ({ ...statistics(camera, camera.status(now), now), title: camera.title, decoding: camera.decoding }));
  if (!camera || !recordings) return { view: "overview", cameras: all, tape: undefined };
  return { ...statistics(camera, view.status(now)!, now), view: "camera", cameras: all, tape: tapeStatistics(recordings) };
}

function tapeStatistics({ archive, player, seekMs, spans }: Recordings): Tape {
  const [first, last] = [spans[0], spans.at(-1)];
  return {
    kept: archive.kept, mode: player.mode, speed: player.speed, at: player.at, filmed: player.shown?.filmed, framesDrawn: player.drawn, seekMs,
    span: first && last ? [first.from, last.to] : undefined,
  };
}
