//! The archive against a store in memory, and the player against the archive, with sealed epochs of a camera.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Camera, mediaObject } from "../dev/camera.ts";
import { Archive, ArchiveError, parseDays, parseHour } from "../src/archive.ts";
import { ascii, type Bytes, concat, fromHex, sha256, u32, u64 } from "../src/bytes.ts";
import { FetchError, type Store } from "../src/carriage.ts";
import type { AccessUnit } from "../src/media.ts";
import { playbackStatus } from "../src/playback.ts";
import { Player } from "../src/player.ts";
import type { Status } from "../src/status.ts";
import { Tape } from "../src/tape.ts";
import { HOUR_MS } from "../src/timeline.ts";
import { seed } from "./seed.ts";

const HOUR = 498_600;
const START = HOUR * HOUR_MS + 60_000;
const PICTURES = 4;
let camera: Camera;
let files: Map<number, Bytes>;

before(async () => {
  camera = await Camera.start({ identitySeed: seed(1), sessionSeed: seed(2), session: seed(3, 16), root: seed(4), devices: [seed(5)], start: START * 1_000 });
  files = new Map();
  let last: Bytes | undefined;
  for (let epoch = 0; epoch < 6; epoch++) {
    const opening = await camera.opening(epoch, last ? { closingBefore: await sha256(last) } : {});
    const objects = await Promise.all(Array.from({ length: PICTURES }, (_, i) =>
      camera.seal(epoch, i, mediaObject(seed(epoch * 10 + i, 50), { keyframe: i === 0, mediaTime: epoch * 180_000 + i * 45_000 }))));
    last = await camera.closing(epoch, opening, objects);
    files.set(epoch, await file(epoch, opening, last, epoch === 4 ? objects.slice(0, 3) : objects));
  }
});

async function file(epoch: number, opening: Bytes, closing: Bytes, objects: Bytes[]): Promise<Bytes> {
  const content = concat(
    ascii("DFEP"), new Uint8Array([1]), camera.options.session, u32(epoch), u64(BigInt(stored(epoch) * 1_000)), u32(opening.length), opening,
    u32(closing.length), closing, new Uint8Array([1, 5]), ascii("video"), u32(objects.length), ...objects.flatMap((object) => [u32(object.length), object]),
  );
  return concat(content, await sha256(content));
}

const stored = (epoch: number) => START + (epoch + 1) * 2_000;

/** Gives what is in `kept`; `swap` gives the file of another epoch. */
class MemoryStore implements Store {
  readonly kept = true;
  readonly fetched: string[] = [];
  swap: Record<number, number> = {};
  constructor(readonly epochs: number[]) {}
  async fetch(session: string | undefined, track: string, group: number): Promise<Bytes[]> {
    this.fetched.push(track);
    const id = fromHex(camera.id)!;
    if (track === "days") return [concat(u32(HOUR), u32(this.epochs.length), u64(1n))];
    if (track === "hour" && group % 2 ** 32 === HOUR) {
      return [concat(...this.epochs.flatMap((epoch) => [id, u32(epoch), u64(BigInt(stored(epoch) * 1_000)), u32(500)]))];
    }
    if (track === "session" && session === camera.id) return [camera.manifest];
    const found = track === "epoch" ? files.get(this.swap[group] ?? group) : undefined;
    if (!found) throw new FetchError("absent");
    // In pieces, as a hub gives it.
    return [found.slice(0, 100), found.slice(100)];
  }
}

function stage(epochs: number[]) {
  const store = new MemoryStore(epochs);
  let clock = 0;
  const archive = new Archive(store, { identity: camera.identity.publicKey, devices: [seed(5)] }, () => START + 60_000 + clock);
  const tape = new Tape(archive);
  const drawn: number[] = [];
  const fed: string[] = [];
  const decoding = {
    backlog: 0,
    decode(_serial: number, position: number, unit: AccessUnit) {
      fed.push(`${Math.floor(unit.mediaTime / 180_000)}.${position}`);
      queueMicrotask(() => player.handlePicture({ close() {} }, unit.mediaTime + 0.02));
    },
    reset() {},
  };
  const player: Player = new Player(archive, tape, decoding, () => drawn.push(player.shown!.filmed - START), () => clock);
  const settle = async (wished: () => boolean) => {
    for (let i = 0; i < 500 && !wished(); i++) await new Promise((resolve) => setTimeout(resolve, 2));
    assert.ok(wished(), `${player.mode}`);
  };
  const run = async (ms: number) => {
    for (const end = clock + ms; clock < end; clock += 20) {
      player.tick();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { store, archive, tape, player, drawn, fed, settle, run };
}

test("a moment shows its picture, decoded from the keyframe on, and stays there until it is played", async () => {
  const { player, drawn, fed, settle, run } = stage([0, 1, 2, 3]);
  player.seek(START + 3_100, true);
  await settle(() => drawn.length > 0);
  assert.deepEqual([player.mode, drawn, fed], ["paused", [3_000], ["1.0", "1.1", "1.2"]]);
  await run(400);
  assert.deepEqual(drawn, [3_000]);
  player.play();
  await run(700);
  assert.deepEqual(drawn, [3_000, 3_500]);
});

test("while a finger moves only keyframes are shown, the last of them for where it stopped", async () => {
  const { player, drawn, fed, settle } = stage([0, 1, 2, 3]);
  for (const at of [500, 2_700, 5_900]) player.seek(START + at, false);
  await settle(() => drawn.at(-1) === 4_000);
  assert.deepEqual(fed.at(-1), "2.0");
  assert.ok(fed.every((unit) => unit.endsWith(".0")));
  assert.equal(player.at, START + 5_900);
});

test("playing goes from epoch to epoch, at every speed in order and without a picture twice", async () => {
  for (const speed of [1, 4, 16] as const) {
    const { player, drawn, settle, run } = stage([0, 1, 2, 3]);
    player.setSpeed(speed);
    player.wanted = true;
    player.seek(START, true);
    await settle(() => player.mode === "playing");
    for (let i = 0; i < 60 && player.mode !== "end"; i++) {
      await run(200);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.equal(player.mode, "end", `speed ${speed}`);
    assert.ok(drawn.every((at, i) => i === 0 || at > drawn[i - 1]!), `${drawn}`);
    if (speed === 1) assert.deepEqual(drawn, Array.from({ length: 16 }, (_, i) => i * 500));
  }
});

test("one picture on and one back, across the border of epochs", async () => {
  const { player, drawn, settle } = stage([0, 1, 2]);
  player.seek(START + 2_000, true);
  await settle(() => drawn.length === 1);
  for (const [by, at] of [[-1, 1_500], [-1, 1_000], [1, 1_500], [1, 2_000], [1, 2_500]] as const) {
    const count = drawn.length;
    await player.step(by);
    await settle(() => drawn.length > count);
    assert.equal(drawn.at(-1), at);
  }
  assert.equal(player.alarm, undefined);
});

test("a gap is said with its ends, and playing goes on after it", async () => {
  const { player, drawn, settle, run } = stage([0, 1, 4, 5]);
  player.seek(START + 5_000, true);
  await settle(() => player.mode === "gap");
  assert.deepEqual(player.gap, { from: START + 4_000, to: START + 8_000 });
  assert.deepEqual(drawn, []);
  player.play();
  await settle(() => player.mode === "playing");
  await run(100);
  assert.equal(drawn[0], 8_000);
  player.seek(START + 3_600, true);
  await settle(() => player.mode === "playing");
  await run(900);
  await settle(() => player.at >= START + 8_000);
  await run(100);
  assert.equal(drawn.at(-1), 8_000);
  assert.equal(player.note?.kind, "incomplete");
});

test("pictures that the hub lost are counted, and are no alarm", async () => {
  const { player, settle } = stage([3, 4, 5]);
  player.seek(START + 8_100, true);
  await settle(() => player.mode === "paused");
  assert.deepEqual([player.note?.missing, player.note?.objects, player.alarm], [1, 4, undefined]);
  assert.match(said(player).hint!, /^1 of 4 pictures are missing here: the hub does not have them\.$/);
});

test("another epoch in this one's place is an alarm and shows nothing", async () => {
  const { player, store, drawn, settle } = stage([0, 1, 2]);
  store.swap = { 1: 2 };
  player.seek(START + 2_500, true);
  await settle(() => player.mode === "failed");
  assert.deepEqual(drawn, []);
  assert.equal(said(player).tone, "alarm");
  assert.match(said(player).title, /tampered/);
});

test("an epoch that is gone is said, passed over when playing, and no alarm", async () => {
  const { player, drawn, settle, run } = stage([0, 7, 8]);
  player.wanted = true;
  player.seek(START + 15_000, true);
  await settle(() => player.mode === "failed");
  assert.match(said(player).text, /does not have it any more/);
  assert.equal(player.alarm, undefined);
  await run(3_500);
  await settle(() => player.mode === "failed" || player.mode === "end");
  assert.deepEqual(drawn, []);
});

test("an alarm of the present is not hidden by the past", async () => {
  const { player } = stage([0]);
  const live: Status = { state: "alarm-stale", lock: "alarm", tone: "alarm", title: "This may be old footage", text: "It is." };
  const status = said(player, live);
  assert.deepEqual([status.state, status.tone, status.lock, status.title], ["recorded", "alarm", "alarm", "Live: This may be old footage"]);
});

test("nothing that is recorded is said to be live", async () => {
  const { player, settle } = stage([0, 1]);
  const states = new Set<string>([said(player).state]);
  player.seek(START + 100, true);
  await settle(() => player.mode === "paused");
  states.add(said(player).state);
  player.seek(START + 50_000, true);
  await settle(() => player.mode === "end");
  states.add(said(player).state);
  assert.deepEqual([...states], ["recorded"]);
});

function said({ mode, note, alarm, gap, shown }: Player, live: Status = { state: "live", lock: "locked", tone: "calm", title: "", text: "" }): Status {
  return playbackStatus({ mode, note, alarm, gap, shown, loadingSince: undefined }, live, 0, (ms) => `<${ms}>`);
}

test("the archive asks once for what it has, and anew for what may have changed", async () => {
  const { archive, store } = stage([0, 1]);
  await Promise.all([archive.epoch(camera.id, 0), archive.epoch(camera.id, 0)]);
  await archive.epoch(camera.id, 0);
  assert.deepEqual(store.fetched.sort(), ["epoch", "session"]);
  await assert.rejects(archive.epoch(camera.id, 9), (error: ArchiveError) => error.why === "absent" && !error.isAlarm);
});

test("a session of another camera, or sealed to others, is refused by name", async () => {
  const { store } = stage([0]);
  const now = () => START;
  const refused = async (identity: Bytes, device: Bytes) => {
    try {
      await new Archive(store, { identity, devices: [device] }, now).session(camera.id);
    } catch (error) {
      return [(error as ArchiveError).message, (error as ArchiveError).isAlarm];
    }
    return undefined;
  };
  assert.deepEqual(await refused(seed(77), seed(5)), ["session.identity", true]);
  assert.deepEqual(await refused(camera.identity.publicKey, seed(6)), ["session.recipient", false]);
});

test("what was recorded before the device changed its key opens with the key from before", async () => {
  const { store } = stage([0]);
  const devices = [seed(6), seed(7), seed(5)];
  const archive = new Archive(store, { identity: camera.identity.publicKey, devices }, () => START);
  assert.ok((await archive.epoch(camera.id, 0)).units.length > 0);
});

test("listings parse to their last byte or not at all", () => {
  const days = concat(u32(2), u32(3), u64(4n), u32(1), u32(1), u64(1n));
  assert.deepEqual(parseDays(days), [{ hour: 1, epochs: 1, bytes: 1 }, { hour: 2, epochs: 3, bytes: 4 }]);
  const hour = concat(seed(3, 16), u32(5), u64(9_000n), u32(7));
  assert.deepEqual(parseHour(hour).map(({ epoch, stored, bytes }) => [epoch, stored, bytes]), [[5, 9, 7]]);
  for (let end = 1; end < 16; end++) assert.throws(() => parseDays(days.slice(0, end)), ArchiveError);
  for (let end = 1; end < 32; end++) assert.throws(() => parseHour(hour.slice(0, end)), ArchiveError);
});
