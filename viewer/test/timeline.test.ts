import assert from "node:assert/strict";
import { test } from "node:test";
import { Cache } from "../src/cache.ts";
import {
  dayAfter, dayOf, daysOf, type Entry, HOUR_MS, hoursOf, joinSpans, MINUTE_MS, placeEpochs, positionOf, slotAt, stepOf, ticksOf, timeAt, windowOf, ZOOMS,
} from "../src/timeline.ts";

const NOW = new Date(2026, 10, 24, 15, 30, 20).getTime();
const entry = (epoch: number, stored: number, session = "aa", bytes = 10): Entry => ({ session, epoch, stored, bytes });

test("epochs lie end to end where they follow, and apart where they do not", () => {
  const slots = placeEpochs([entry(1, 12_000), entry(0, 10_000), entry(2, 14_100), entry(9, 30_000), entry(0, 31_000, "bb")]);
  assert.deepEqual(slots.map(({ epoch, from, to }) => [epoch, from, to]), [
    [0, 8_000, 10_000], [1, 10_000, 12_000], [2, 12_000, 14_100], [9, 28_000, 30_000], [0, 30_000, 31_000],
  ]);
  assert.deepEqual(joinSpans(slots), [{ from: 8_000, to: 14_100 }, { from: 28_000, to: 31_000 }]);
});

test("a long epoch is whole, numbers it passed over are no gap, and missing ones are", () => {
  const slots = placeEpochs([entry(0, 10_000), entry(1, 16_000), entry(4, 18_000), entry(7, 24_000)]);
  assert.deepEqual(joinSpans(slots), [{ from: 8_000, to: 18_000 }, { from: 22_000, to: 24_000 }]);
});

test("of two files of one epoch the larger counts, and a burst keeps its order", () => {
  const slots = placeEpochs([entry(3, 5_000, "aa", 10), entry(3, 9_000, "aa", 20), entry(5, 9_002), entry(4, 9_001)]);
  assert.deepEqual(slots.map(({ epoch, from, to }) => [epoch, from, to]), [[3, 7_000, 9_000], [4, 9_000, 9_001], [5, 9_001, 9_002]]);
});

test("a moment finds its epoch, or the next one, or none", () => {
  const slots = placeEpochs([entry(0, 10_000), entry(1, 12_000), entry(7, 30_000)]);
  for (const [at, found] of [[0, 0], [9_999, 0], [10_000, 1], [12_000, 2], [29_000, 2], [30_000, -1]] as const) assert.equal(slotAt(slots, at), found, `${at}`);
  assert.equal(slotAt([], 5), -1);
});

test("the bar of the present ends now, and a moment further back comes to its middle", () => {
  for (const zoom of ZOOMS) {
    const window = windowOf(zoom, undefined, NOW, NOW);
    assert.equal(window.to, NOW, zoom);
    for (const share of [0, 0.25, 1]) assert.ok(Math.abs(positionOf(timeAt(share, window), window) - share) < 1e-9);
  }
  const at = NOW - 5 * HOUR_MS;
  assert.deepEqual(windowOf("hour", undefined, at, NOW), { from: at - HOUR_MS / 2, to: at + HOUR_MS / 2 });
  assert.deepEqual(windowOf("minutes", undefined, NOW - MINUTE_MS, NOW), { from: NOW - 10 * MINUTE_MS, to: NOW });
});

test("the bar of another day is that day, and does not leave it", () => {
  const day = dayOf(NOW - 3 * 24 * HOUR_MS);
  assert.deepEqual(windowOf("day", day, day, NOW), { from: day, to: dayAfter(day) });
  assert.deepEqual(windowOf("hour", day, day + MINUTE_MS, NOW), { from: day, to: day + HOUR_MS });
  assert.deepEqual(windowOf("minutes", day, dayAfter(day) - 1, NOW), { from: dayAfter(day) - 10 * MINUTE_MS, to: dayAfter(day) });
});

test("positions beyond the ends are kept within them, and arrows go by what a bar can show", () => {
  const window = { from: 1_000, to: 2_000 };
  assert.deepEqual([-1, 0.5, 2].map((share) => timeAt(share, window)), [1_000, 1_500, 2_000]);
  assert.deepEqual(ZOOMS.map(stepOf), [60_000, 10_000, 1_000]);
});

test("ticks are round, within the bar and not too many", () => {
  for (const zoom of ZOOMS) {
    const window = windowOf(zoom, undefined, NOW, NOW);
    for (const most of [3, 5, 12]) {
      const ticks = ticksOf(window, most);
      assert.ok(ticks.length >= 1 && ticks.length <= most + 1, `${zoom} ${most}: ${ticks.length}`);
      for (const tick of ticks) assert.ok(tick >= window.from && tick < window.to && tick % MINUTE_MS === 0);
    }
  }
});

test("hours and days of what is kept", () => {
  assert.deepEqual(hoursOf({ from: 1.5 * HOUR_MS, to: 3 * HOUR_MS }), [1, 2]);
  const hour = Math.floor(NOW / HOUR_MS);
  const totals = [hour - 48, hour - 47, hour].map((hour) => ({ hour, epochs: 1, bytes: 1 }));
  assert.deepEqual(daysOf(totals), [dayOf(NOW), dayOf(NOW - 48 * HOUR_MS)]);
});

test("a cache asks once, forgets what was used longest ago, and keeps no failure", async () => {
  const cache = new Cache<number>(3);
  let asked = 0;
  const take = (key: string, now = 0, until?: number) => cache.take(key, now, async () => ++asked, until);
  assert.deepEqual(await Promise.all([take("a"), take("a")]), [1, 1]);
  for (const key of ["b", "c", "a", "d"]) await take(key);
  assert.equal(cache.size, 3);
  assert.deepEqual([cache.known("a"), cache.known("b"), cache.known("d")], [1, undefined, 4]);
  await take("e", 0, 10);
  assert.equal(await take("e", 9, 19), 5);
  assert.equal(await take("e", 10, 20), 6);
  await assert.rejects(cache.take("f", 0, async () => { throw new Error("no"); }));
  assert.equal(await take("f"), 7);
});

test("what was known stays known while it is asked for again", async () => {
  const cache = new Cache<number>(3);
  await cache.take("a", 0, async () => 1, 5);
  const again = cache.take("a", 6, async () => 2, 12);
  assert.equal(cache.known("a"), 1);
  await again;
  assert.equal(cache.known("a"), 2);
  assert.equal(cache.size, 1);
});
