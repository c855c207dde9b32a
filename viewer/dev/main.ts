//! The page with a fake camera in it: really encoded, really sealed, never sent. `?state=NAME` picks what it shows, `?cameras=N` how many.

import { showBroken, watchCameras } from "../src/app.ts";
import { ascii, type Bytes, concat, sha256, toHex } from "../src/bytes.ts";
import type { Carriage, CarriageEvent, Store } from "../src/carriage.ts";
import { Feed } from "../src/feed.ts";
import type { Link } from "../src/link.ts";
import type { State } from "../src/status.ts";
import { Camera, mediaObject } from "./camera.ts";
import { FakeStore } from "./store.ts";

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const query = new URLSearchParams(location.search);
const wanted = query.get("state") ?? "live";
const EPOCH_MS = 2_000;
const FPS = 30;

/** A porch at dusk, a visitor walking by, and the time in the corner. */
function paint(context: OffscreenCanvasRenderingContext2D, at: number, wall = Date.now()): void {
  const { width, height } = context.canvas;
  const sky = context.createLinearGradient(0, 0, 0, height);
  sky.addColorStop(0, "#2b3a55");
  sky.addColorStop(0.6, "#c98d6b");
  sky.addColorStop(1, "#3c3a33");
  context.fillStyle = sky;
  context.fillRect(0, 0, width, height);
  context.fillStyle = "#41503c";
  context.beginPath();
  context.ellipse(width * 0.8, height * 0.72, width * 0.35, height * 0.2, 0, 0, 7);
  context.ellipse(width * 0.1, height * 0.75, width * 0.25, height * 0.16, 0, 0, 7);
  context.fill();
  context.fillStyle = "#8c7f70";
  context.beginPath();
  context.moveTo(width * 0.42, height * 0.6);
  context.lineTo(width * 0.52, height * 0.6);
  context.lineTo(width * 0.8, height);
  context.lineTo(width * 0.2, height);
  context.fill();
  const step = (at / 4_000) % 1;
  const x = width * (0.3 + 0.35 * step);
  const y = height * (0.62 + 0.05 * Math.abs(Math.sin(at / 150)) * 0.2);
  context.fillStyle = "#23303f";
  context.beginPath();
  context.ellipse(x, y, width * 0.045, height * 0.2, 0, 0, 7);
  context.fill();
  context.fillStyle = "#c99f80";
  context.beginPath();
  context.arc(x, y - height * 0.25, height * 0.06, 0, 7);
  context.fill();
  context.fillStyle = "#1d1b18";
  context.fillRect(0, 0, width * 0.06, height);
  context.fillRect(width * 0.94, 0, width * 0.06, height);
  context.fillStyle = "#fff";
  context.font = `${Math.round(height / 28)}px monospace`;
  context.fillText(new Date(wall).toISOString().replace("T", "  ").slice(0, 20), width * 0.08, height * 0.95);
}

/** Pictures of a moment, encoded one after the other. */
let filming: Promise<unknown> = Promise.resolve();
function film(at: number, count: number): Promise<Bytes[]> {
  const made = filming.then(async () => {
    const context = new OffscreenCanvas(640, 360).getContext("2d")!;
    const units: Bytes[] = [];
    const encoder = new VideoEncoder({
      output: (chunk) => { const bytes = new Uint8Array(chunk.byteLength); chunk.copyTo(bytes); units.push(bytes); },
      error: (error) => { throw error; },
    });
    encoder.configure({ codec: "avc1.42E01F", width: 640, height: 360, bitrate: 1_000_000, framerate: 10, latencyMode: "realtime", avc: { format: "annexb" } });
    for (let i = 0; i < count; i++) {
      paint(context, at + i * 100, at + i * 100);
      const frame = new VideoFrame(context.canvas, { timestamp: i * 100_000 });
      encoder.encode(frame, { keyFrame: i === 0 });
      frame.close();
    }
    await encoder.flush();
    encoder.close();
    return units;
  });
  filming = made.catch(() => {});
  return made;
}

class FakeCarriage implements Carriage, Store {
  readonly events = new Feed<CarriageEvent>();
  get kept() { return this.state === "connecting" ? undefined : this.store.kept; }
  fetch(session: string | undefined, track: string, group: number) { return this.store.fetch(session, track, group); }
  #following = false;
  constructor(readonly camera: Camera, readonly start: number, readonly challenge: Bytes, readonly store: FakeStore, readonly state: string) {
    void this.#run();
  }
  follow(): void { this.#following = true; }
  unfollow(): void { this.#following = false; }
  retry(): void {}
  reconnect(): void {}

  async #run(): Promise<void> {
    const { events, camera, state: wanted } = this;
    events.push({ kind: "connecting" });
    if (wanted === "connecting") return;
    if (wanted === "refused") return events.push({ kind: "disconnected", code: 401, reason: "this token expired on 20 November 2026" });
    if (wanted === "unreachable") return events.push({ kind: "disconnected", code: undefined, reason: "" });
    await pause(300);
    events.push({ kind: "connected" });
    if (wanted === "waiting") return;
    events.push({ kind: "session", id: camera.id, present: true });
    if (wanted === "opening") return;
    await this.#film();
  }

  async #film(): Promise<void> {
    const wanted = this.state;
    const [width, height] = query.has("small") ? [640, 360] : [1280, 720];
    const context = new OffscreenCanvas(width, height).getContext("2d")!;
    let unit: Bytes | undefined;
    const encoder = new VideoEncoder({
      output: (chunk) => { const bytes = new Uint8Array(chunk.byteLength); chunk.copyTo(bytes); unit = concat(unit ?? new Uint8Array(0), bytes); },
      error: (error) => { throw error; },
    });
    encoder.configure({ codec: "avc1.42E01F", width, height, bitrate: 2_000_000, framerate: FPS, latencyMode: "realtime", avc: { format: "annexb" } });
    const send = (track: "session" | "manifest" | "video", group: number, index: number, bytes: Bytes) =>
      this.events.push({ kind: "object", session: this.camera.id, track, group, index, bytes });
    send("session", 0, 0, this.camera.manifest);
    let epoch = -1;
    let opening: Bytes = new Uint8Array(0);
    let closing: Bytes | undefined;
    let objects: Bytes[] = [];
    const began = performance.now();
    const skew = wanted === "alarm-stale" || wanted === "clock" ? -3 * 3_600_000 : 0;
    const first = Math.floor((Date.now() - this.start) / EPOCH_MS);
    for (let i = 0; ; i++) {
      await pause(began + (i * 1000) / FPS - performance.now());
      const elapsed = performance.timeOrigin + performance.now() - this.start;
      const now = Math.floor(elapsed / EPOCH_MS);
      const keyframe = now !== epoch;
      if (keyframe) {
        if (epoch >= 0) {
          const lie = wanted === "alarm-tampered" ? objects.slice(1) : objects;
          closing = await this.camera.closing(epoch, opening, lie);
          send("manifest", epoch, 1, closing);
          this.events.push({ kind: "end", session: this.camera.id, track: "video", group: epoch });
        }
        epoch = now;
        objects = [];
        opening = await this.camera.opening(epoch, {
          wallClock: (this.start + elapsed + skew) * 1000,
          mediaTime: elapsed * 90,
          closingBefore: closing ? await sha256(closing) : new Uint8Array(32),
          challenges: wanted === "alarm-stale" || epoch === first ? [] : [this.challenge],
        });
        send("manifest", epoch, 0, opening);
      }
      paint(context, elapsed);
      const frame = new VideoFrame(context.canvas, { timestamp: Math.round(elapsed * 1000) });
      unit = undefined;
      encoder.encode(frame, { keyFrame: keyframe });
      frame.close();
      await encoder.flush();
      const object = await this.camera.seal(epoch, objects.length, mediaObject(unit!, { keyframe, width, height, mediaTime: elapsed * 90 }));
      objects.push(object);
      if (wanted === "gone" && i === 75) return this.events.push({ kind: "session", id: this.camera.id, present: false });
      if (wanted === "lost-hub" && i === 75) return this.events.push({ kind: "disconnected", code: undefined, reason: "" });
      if (wanted === "stalled" && i >= 75) continue;
      if (wanted === "flipped" && i >= 75) object[20]! ^= 1;
      if (this.#following) send("video", epoch, objects.length - 1, object);
    }
  }
}

async function start(): Promise<void> {
  if (["no-link", "bad-link", "insecure", "no-webtransport", "no-webcodecs", "no-crypto"].includes(wanted)) {
    return showBroken(wanted as State, "The link is cut short: “device” is missing.");
  }
  const names = ["front-door", "back-yard", "garage", "gate", "hall", "cellar"];
  const count = Number(query.get("cameras") ?? 1);
  const made = await Promise.all(Array.from({ length: count }, (_, i) => makeCamera(i, names[i] ?? `camera-${i + 1}`)));
  const links = made.map(({ link }) => link);
  watchCameras(links, (link, challenge) => made[links.indexOf(link)]!.connect(challenge));
}

/** Of several cameras, the second is the one that something is wrong with. */
async function makeCamera(index: number, name: string): Promise<{ link: Link; connect: (challenge: Bytes) => FakeCarriage }> {
  const state = Number(query.get("cameras") ?? 1) > 1 && index !== 1 ? "live" : wanted;
  const device = random(32);
  const began = Date.now() - 431_000;
  const camera = await Camera.start({
    identitySeed: random(32), sessionSeed: random(32), session: random(16), root: random(32), devices: [state === "wrong-device" ? random(32) : device, random(32)],
    start: began * 1000, suite: state === "wrong-suite" ? 0xf001 : 5, deviceListVersion: state === "devices-none" ? 0 : 3,
  });
  const link: Link = {
    hub: new URL("https://hub.example:4443/home"), certificate: random(32), token: "-", camera: name,
    identity: state === "alarm-identity" ? random(32) : camera.identity.publicKey, devices: [device],
  };
  const before = { "devices-changed": [2, 1], "devices-back": [4, 2], "devices-more": [3, 1], "devices-none": [0, 1] }[state];
  if (before) {
    const newest = { version: before[0], hash: toHex(await sha256(ascii("device list"))), recipients: before[1], start: 0 };
    localStorage.setItem(`doorframe.devices ${toHex(await sha256(link.identity))}`, JSON.stringify({ newest }));
  }
  const past = Date.now() - 30 * 3_600_000;
  const recorded = await Camera.start({ ...camera.options, sessionSeed: random(32), session: random(16), root: random(32), start: past * 1000 });
  const store = new FakeStore({ camera: recorded, start: past, kept: state !== "unrecorded", film, size: [640, 360] });
  return { link, connect: (challenge) => new FakeCarriage(camera, began, challenge, store, state) };
}

void start();
