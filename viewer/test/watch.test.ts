//! Which session is followed and what is said of it, against a carriage made of events.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Camera, mediaObject } from "../dev/camera.ts";
import { type Bytes, toHex } from "../src/bytes.ts";
import type { Carriage, CarriageEvent } from "../src/carriage.ts";
import { Feed } from "../src/feed.ts";
import type { Link } from "../src/link.ts";
import { brokenStatus, type Facts, span, status } from "../src/status.ts";
import { Watch } from "../src/watch.ts";
import { seed } from "./seed.ts";

const START = 1_795_000_000_000_000;
let clockMs = 0;
let cameras: Camera[];

before(async () => {
  const make = (number: number, start: number, devices = [seed(5)], identity = 1) =>
    Camera.start({ identitySeed: seed(identity), sessionSeed: seed(number), session: seed(number, 16), root: seed(number + 1), devices, start });
  cameras = [await make(10, START), await make(20, START + 60_000_000), await make(30, START, [seed(6)]), await make(40, START, [seed(5)], 2)];
});

class FakeCarriage implements Carriage {
  readonly events = new Feed<CarriageEvent>();
  readonly following = new Set<string>();
  reconnects = 0;
  follow(session: string) { this.following.add(session); }
  unfollow(session: string) { this.following.delete(session); }
  retry() {}
  reconnect() { this.reconnects++; }
}

function stage() {
  clockMs = START / 1000 + 100_000;
  const carriage = new FakeCarriage();
  const units: string[] = [];
  const link = { identity: cameras[0]!.identity.publicKey, devices: [seed(5)], camera: "front-door" } as Pick<Link, "identity" | "devices" | "camera"> as Link;
  const watch = new Watch(link, carriage, { decode: (epoch, position) => units.push(`${epoch}.${position}`), reset: () => units.push("reset") }, seed(9, 16), () => clockMs);
  void watch.run();
  const facts = (more: Partial<Facts> = {}): Facts => ({
    ...watch.facts(), hub: "hub:4443", pinned: true, undecodable: undefined, lastPicture: clockMs, pictured: units.some((unit) => unit !== "reset"), ...more,
  });
  const push = async (...events: CarriageEvent[]) => {
    for (const event of events) carriage.events.push(event);
    do await new Promise((resolve) => setTimeout(resolve, 5));
    while (watch.waiting > 0);
  };
  const state = (more: Partial<Facts> = {}) => status(facts(more), clockMs, (ms) => `<${ms}>`).state;
  return { carriage, watch, units, push, facts, state };
}

async function deliver(camera: Camera, epoch: number, wallClock = clockMs * 1000): Promise<CarriageEvent[]> {
  const session = camera.id;
  const object = (track: "session" | "manifest" | "video", group: number, index: number, bytes: Bytes): CarriageEvent => ({ kind: "object", session, track, group, index, bytes });
  return [
    object("session", 0, 0, camera.manifest),
    object("manifest", epoch, 0, await camera.opening(epoch, { wallClock })),
    object("video", epoch, 0, await camera.seal(epoch, 0, mediaObject(seed(1, 40), { keyframe: true }))),
    object("video", epoch, 1, await camera.seal(epoch, 1, mediaObject(seed(1, 40)))),
  ];
}

const present = (camera: Camera): CarriageEvent => ({ kind: "session", id: camera.id, present: true });
const gone = (camera: Camera): CarriageEvent => ({ kind: "session", id: camera.id, present: false });

test("from nothing to live, to gone, and to live again in the next session", async () => {
  const { carriage, push, state, units } = stage();
  const [first, second] = cameras as [Camera, Camera];
  assert.equal(state(), "connecting");
  await push({ kind: "connecting" }, { kind: "connected" });
  assert.equal(state(), "waiting");
  await push(present(first));
  assert.equal(state(), "opening");
  await push(...(await deliver(first, 50)));
  assert.equal(state(), "live");
  await push(gone(first));
  assert.equal(state(), "gone");
  await push(present(second), ...(await deliver(second, 20)));
  assert.equal(state(), "live");
  assert.deepEqual(units, ["reset", "50.0", "50.1", "reset", "20.0", "20.1"]);
  assert.deepEqual([...carriage.following], [second.id]);
});

test("who may watch is what the manifest states, and the newest opening after it", async () => {
  const { push, watch } = stage();
  const camera = cameras[0]!;
  const [manifest, opening] = (await deliver(camera, 50)) as [CarriageEvent, CarriageEvent];
  await push({ kind: "connecting" }, { kind: "connected" }, present(camera), manifest);
  assert.deepEqual([watch.session?.devices?.version, watch.session?.facts?.recipients], [3, 1]);
  await push(opening);
  assert.deepEqual(watch.session?.devices, watch.session?.facts?.devices);
  assert.equal(watch.session?.devices?.hash.length, 32);
});

test("a new session takes over only once it checked out", async () => {
  const { carriage, push, watch, state } = stage();
  const [first, second, , impostor] = cameras as [Camera, Camera, Camera, Camera];
  await push({ kind: "connecting" }, { kind: "connected" }, present(first), ...(await deliver(first, 50)));
  clockMs += 5_000;
  await push(present(impostor), ...(await deliver(impostor, 50)));
  assert.equal(watch.session?.id, first.id);
  assert.equal(watch.counters().dropped["session.identity"], 1);
  await push(present(second));
  assert.equal(watch.session?.id, first.id);
  await push(...(await deliver(second, 1)));
  assert.equal(watch.session?.id, second.id);
  assert.equal(state(), "live");
  assert.deepEqual([...carriage.following], [second.id]);
});

test("of sessions that were there before, the one that started last is followed, in whatever order they are announced", async () => {
  const [first, second] = cameras as [Camera, Camera];
  for (const order of [[first, second], [second, first]]) {
    const { push, watch } = stage();
    await push({ kind: "connecting" }, { kind: "connected" }, ...order.map(present), ...(await deliver(order[0]!, 50)), ...(await deliver(order[1]!, 50)));
    assert.equal(watch.session?.id, second.id);
  }
});

test("refusals say what they are", async () => {
  const [, , foreign, impostor] = cameras as [Camera, Camera, Camera, Camera];
  for (const [camera, expected] of [[foreign, "wrong-device"], [impostor, "alarm-identity"]] as const) {
    const { push, state } = stage();
    await push({ kind: "connecting" }, { kind: "connected" }, present(camera), ...(await deliver(camera, 50)));
    assert.equal(state(), expected);
  }
});

test("a refused token shows the hub's words, a lost hub since when, and both go when it answers", async () => {
  const { push, state, facts } = stage();
  await push({ kind: "connecting" }, { kind: "disconnected", code: 401, reason: "the token has expired" });
  assert.equal(state(), "refused");
  assert.match(status(facts(), clockMs, String).text, /the token has expired/);
  await push({ kind: "connecting" }, { kind: "disconnected", code: undefined, reason: "" });
  const since = clockMs;
  clockMs += 20_000;
  assert.equal(state(), "unreachable");
  assert.match(status(facts(), clockMs, String).text, new RegExp(String(since)));
  await push({ kind: "connecting" }, { kind: "connected" });
  assert.equal(state(), "waiting");
});

test("old footage is an alarm after a chance to prove itself, and a proof makes it a hint", async () => {
  const { push, state } = stage();
  const camera = cameras[0]!;
  await push({ kind: "connecting" }, { kind: "connected" }, present(camera), ...(await deliver(camera, 50, START - 3_600_000_000)));
  assert.equal(state(), "checking");
  clockMs += 6_000;
  assert.equal(state(), "alarm-stale");
  const proof = await camera.opening(51, { wallClock: START - 3_600_000_000, challenges: [seed(9, 16)] });
  await push({ kind: "object", session: camera.id, track: "manifest", group: 51, index: 0, bytes: proof });
  assert.equal(state(), "live");
});

test("a closing that lies is an alarm that stays", async () => {
  const { push, state } = stage();
  const camera = cameras[0]!;
  const events = await deliver(camera, 50);
  const opening = events[1] as CarriageEvent & { kind: "object" };
  await push({ kind: "connecting" }, { kind: "connected" }, present(camera), ...events);
  await push({ kind: "object", session: camera.id, track: "manifest", group: 50, index: 1, bytes: await camera.closing(50, opening.bytes, [seed(1)]) });
  assert.equal(state(), "alarm-tampered");
});

test("silence stalls, and after a while the connection is made anew", async () => {
  const { carriage, push, state, watch } = stage();
  const camera = cameras[0]!;
  await push({ kind: "connecting" }, { kind: "connected" }, present(camera), ...(await deliver(camera, 50)));
  const lastPicture = clockMs;
  clockMs += 4_000;
  assert.equal(state({ lastPicture }), "stalled");
  watch.handleTimeout();
  assert.equal(carriage.reconnects, 0);
  clockMs += 10_000;
  watch.handleTimeout();
  assert.equal(carriage.reconnects, 1);
});

test("after a reconnect the same session goes on, and what was opened is not opened again", async () => {
  const { push, state, watch, units } = stage();
  const camera = cameras[0]!;
  const events = await deliver(camera, 50);
  await push({ kind: "connecting" }, { kind: "connected" }, present(camera), ...events);
  await push({ kind: "disconnected", code: undefined, reason: "" });
  await push({ kind: "connecting" }, { kind: "connected" }, present(camera), ...events, ...(await deliver(camera, 51)));
  assert.equal(state(), "live");
  assert.deepEqual(units, ["reset", "50.0", "50.1", "51.0", "51.1"]);
  assert.deepEqual(watch.counters().dropped, { "object.replay": 2 });
});

test("every state of a broken page has a title and says what to do", () => {
  for (const state of ["no-link", "bad-link", "insecure", "no-webtransport", "no-webcodecs", "no-crypto"] as const) {
    const said = brokenStatus(state, "The link is cut short.");
    assert.equal(said.state, state);
    assert.ok(said.title && said.text.length > 30);
  }
});

test("spans of time are told in the largest unit that fits", () => {
  assert.deepEqual([500, 1_000, 59_000, 61_000, 7_200_000, 90_000_000].map(span), ["1 second", "1 second", "59 seconds", "1 minute", "2 hours", "1 day"]);
  assert.equal(toHex(new Uint8Array([1])), "01");
});
