//! What happened, as the camera seals it: the files of ../vectors/event, and what a live viewer makes of it.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Camera, mediaObject } from "../dev/camera.ts";
import { type Bytes, concat, fromHex, u16, u64 } from "../src/bytes.ts";
import { BELL, EVENT, parseBell, parseEvents } from "../src/events.ts";
import { Opener } from "../src/opener.ts";
import { seed } from "./seed.ts";

const FOLDER = "../vectors/event";

interface Vector {
  plaintext: string;
  events?: { kind: number; at: number; area: number; score: number }[];
  bell: boolean;
  expect: string;
}

const NUMBERS = { motion: 1, still: 2, doorbell: 3 };

test("vectors of events are read as they say", () => {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
  assert.ok(names.length >= 10, `only ${names.length} vectors`);
  for (const name of names) {
    const vector = JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as Vector;
    const plaintext = fromHex(vector.plaintext)!;
    const found = parseEvents(plaintext)?.map(({ kind, mediaTime, area, score }) => ({ kind: NUMBERS[kind], at: mediaTime, area, score }));
    assert.equal(found !== undefined, vector.expect === "ok", name);
    assert.deepEqual(found, vector.events, name);
    assert.equal(parseBell(plaintext) !== undefined, vector.bell, name);
  }
});

const START = 1_795_000_000_000_000;
const fill = (...parts: Uint8Array[]) => concat(concat(...parts), new Uint8Array(256)).slice(0, 256) as Bytes;
const motion = concat(new Uint8Array([1]), u64(90_000n), u16(137), u16(42));
const ring = concat(new Uint8Array([3]), u64(99_000n), u16(0), u16(0));

test("a doorbell is told before its epoch is over and once, motion with the epoch, and closings count them", async () => {
  const camera = await Camera.start({ identitySeed: seed(1), sessionSeed: seed(2), session: seed(3, 16), root: seed(4), devices: [seed(5)], start: START });
  const opener = new Opener({ session: seed(3, 16), identity: camera.identity.publicKey, devices: [seed(5)], beside: [EVENT, BELL] });
  await opener.handleSession(camera.manifest);
  const now = START + 40_000;
  const opening = await camera.opening(0, { beside: [EVENT, BELL] });
  await opener.handleOpening(0, opening, now);
  const video = await camera.seal(0, 0, mediaObject(seed(7, 40), { keyframe: true }));
  const bell = await camera.seal(0, 0, fill(ring), 0, BELL);
  const events = await camera.seal(0, 0, fill(motion, ring), 0, EVENT);
  const closing = await camera.closing(0, opening, [video], "video", 1, { [EVENT]: [events], [BELL]: [bell] });
  const rang = { kind: "doorbell", mediaTime: 99_000, area: 0, score: 0 };
  assert.deepEqual(await opener.handleObject(0, bell, now, BELL), [{ kind: "happened", epoch: 0, event: rang }]);
  await opener.handleObject(0, video, now);
  // The event object may come after the end of the picture's group and after the closing.
  assert.deepEqual(await opener.handleEnd(0), []);
  assert.deepEqual(await opener.handleClosing(0, closing, now), []);
  assert.deepEqual(await opener.handleObject(0, events, now, EVENT), [
    { kind: "happened", epoch: 0, event: { kind: "motion", mediaTime: 90_000, area: 137, score: 42 } },
    { kind: "closing", epoch: 0, verdict: "ok", objects: 3, missing: 0 },
  ]);
  assert.deepEqual([opener.lost, opener.alarms, opener.dropped], [0, 0, {}]);
});

test("an event object that does not come is missing, one of the wrong track does not open, and one that is none is dropped", async () => {
  const camera = await Camera.start({ identitySeed: seed(1), sessionSeed: seed(2), session: seed(3, 16), root: seed(4), devices: [seed(5)], start: START });
  const opener = new Opener({ session: seed(3, 16), identity: camera.identity.publicKey, devices: [seed(5)], beside: [EVENT, BELL] });
  await opener.handleSession(camera.manifest);
  const now = START + 40_000;
  const opening = await camera.opening(0, { beside: [EVENT, BELL] });
  await opener.handleOpening(0, opening, now);
  const kept = await camera.seal(0, 0, fill(), 0, EVENT);
  const two = await camera.seal(0, 0, fill(ring, ring), 0, BELL);
  assert.deepEqual(await opener.handleObject(0, kept, now, BELL), [{ kind: "dropped", layer: "object.tag" }]);
  assert.deepEqual(await opener.handleObject(0, two, now, BELL), [{ kind: "dropped", layer: "object.plaintext" }]);
  await opener.handleClosing(0, await camera.closing(0, opening, [], "video", 0, { [EVENT]: [kept], [BELL]: [two] }), now);
  await opener.handleEnd(0);
  await opener.handleEnd(0, BELL);
  assert.deepEqual(await opener.handleEnd(0, EVENT), [{ kind: "closing", epoch: 0, verdict: "incomplete", objects: 2, missing: 1 }]);
});
