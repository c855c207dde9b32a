//! One camera fills the page: its picture, its recordings, and the words beside them.

import { Bar } from "./bar.ts";
import { Decoder } from "./decode.ts";
import { clock, type LiveCamera, wallClock } from "./live.ts";
import type { Page } from "./page.ts";
import { Canvas } from "./picture.ts";
import { failed, playbackStatus } from "./playback.ts";
import { Recordings } from "./recordings.ts";
import { Stats } from "./stats.ts";
import { type Status, withDevices } from "./status.ts";

export class View {
  readonly #page: Page;
  readonly #canvas: Canvas;
  readonly #bar = new Bar(wallClock);
  #shown: Shown | undefined;

  constructor(page: Page) {
    this.#page = page;
    this.#canvas = new Canvas(page.canvas);
  }

  get camera(): LiveCamera | undefined {
    return this.#shown?.camera;
  }

  get recordings(): Recordings | undefined {
    return this.#shown?.recordings;
  }

  /** `before`: where the camera was shown until now. Its picture stands until the next one comes. */
  open(camera: LiveCamera, before?: Canvas): void {
    this.close();
    if (before?.filled && camera.pictured) this.#canvas.copy(before);
    else this.#canvas.clear();
    this.#shown = new Shown(camera, this.#canvas);
    this.#bar.turnTo(this.#shown.recordings);
    this.#page.camera(camera.title);
    camera.show(this.#canvas);
    this.update();
  }

  /** `after`: where the camera is shown from now on. */
  close(after?: Canvas): void {
    const shown = this.#shown;
    if (!shown) return;
    this.#shown = undefined;
    this.#bar.turnTo(undefined);
    if (shown.seen && !shown.recordings.past) after?.copy(this.#canvas);
    else after?.clear();
    shown.recordings.player.stop();
    shown.camera.show(after);
  }

  save(): void {
    const at = this.#shown?.pictureAt;
    // The form of Sweden's dates is the one that sorts, in local time.
    if (at !== undefined) this.#canvas.save(`${this.#shown!.camera.link.camera} ${new Date(at).toLocaleString("sv").replace(/:/g, ".")}.png`);
  }

  /** At each refresh of the screen. */
  turn(): void {
    const shown = this.#shown;
    if (!shown) return;
    if (shown.turn()) this.update();
    else if (shown.recordings.past) this.#showBar(shown);
  }

  status(now: number): Status | undefined {
    return this.#shown?.status(now);
  }

  #showBar(shown: Shown): void {
    this.#bar.update(shown.barWords(), shown.status(wallClock()).state === "live");
  }

  /** Now and then. */
  update(): void {
    const shown = this.#shown;
    if (!shown) return;
    const now = wallClock();
    const { camera, recordings, tapeStats } = shown;
    const { session } = camera.watch;
    recordings.refresh();
    this.#page.status(shown.status(now), shown.seen);
    this.#page.happened(recordings.past ? "" : camera.happenedWords(now));
    this.#showBar(shown);
    this.#page.details({
      fingerprint: camera.fingerprint,
      session: session?.facts ? session.id : "",
      epoch: session?.epoch ?? -1,
      deviceListVersion: session?.devices?.version,
      recipients: session?.facts?.recipients,
      fresh: recordings.past ? "recorded" : session?.fresh?.verdict,
    });
    const { latencyMs, fps, kbps } = camera.stats.snapshot(now);
    const { opened, lost, dropped } = camera.watch.counters();
    const sum = Object.values(dropped).reduce((total, count) => total + count, 0);
    const { width, height } = this.#page.canvas;
    this.#page.figures({
      latencyMs: latencyMs.p50, p99: latencyMs.p99, fps: recordings.past ? tapeStats.snapshot(now).fps : fps, kbps, opened, lost, dropped: sum,
      drawn: camera.stats.framesDrawn, size: shown.pictured ? `${width} × ${height}` : "",
    });
  }
}

/** A camera while it fills the page, and what it recorded: let go with it, as it is large. */
class Shown {
  readonly camera: LiveCamera;
  readonly recordings: Recordings;
  readonly tapeStats = new Stats();
  readonly #canvas: Canvas;
  #past = false;
  #loadingSince: number | undefined;

  constructor(camera: LiveCamera, canvas: Canvas) {
    this.camera = camera;
    this.#canvas = canvas;
    const decoder: Decoder = new Decoder(({ frame, mediaTime }) => this.recordings.player.handlePicture(frame, mediaTime));
    this.recordings = new Recordings(camera.carriage, camera.link, decoder, (frame) => {
      canvas.draw({ frame: frame as VideoFrame, mediaTime: 0, late: false }, false, wallClock());
      this.tapeStats.drawn(undefined, wallClock());
    }, wallClock, () => performance.now());
  }

  /** Something of this camera is on the canvas. */
  get pictured(): boolean {
    return this.#canvas.filled;
  }

  /** What is on the canvas is to be seen. */
  get seen(): boolean {
    return this.pictured && (this.recordings.past || this.camera.pictured);
  }

  /** When the picture on the canvas was filmed, or drawn. */
  get pictureAt(): number | undefined {
    if (!this.pictured) return undefined;
    return this.recordings.past ? this.recordings.player.shown?.filmed : this.camera.lastPicture;
  }

  /** Says whether it went to the past, or came back. */
  turn(): boolean {
    const { camera, recordings } = this;
    recordings.tick();
    const { past, player } = recordings;
    this.#loadingSince = player.busy ? (this.#loadingSince ?? performance.now()) : undefined;
    if (past === this.#past) return false;
    this.#past = past;
    camera.show(past ? undefined : this.#canvas);
    return true;
  }

  status(now: number): Status {
    const live = this.camera.status(now);
    if (!this.recordings.past) return live;
    const { mode, note, alarm, gap, shown } = this.recordings.player;
    return withDevices(playbackStatus({ mode, note, alarm, gap, shown, loadingSince: this.#loadingSince }, live, performance.now(), clock), this.camera.change);
  }

  /** What stands in the bar where there is nothing else. */
  barWords(): string {
    const { archive, error, known, hours, spans, window } = this.recordings;
    if (archive.kept === false) return "This hub keeps no recordings of this camera";
    if (error) return failed(error);
    if (archive.kept === undefined && hours.length === 0) return "";
    if (!known) return "Loading recordings…";
    if (hours.length === 0) return "Nothing is recorded yet";
    return spans.some(({ from, to }) => to > window.from && from < window.to) ? "" : "Nothing is recorded in this time";
  }
}
