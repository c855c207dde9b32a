import assert from "node:assert/strict";
import { test } from "node:test";
import { captureTime, percentile, Stats } from "../src/stats.ts";

test("percentiles are by nearest rank", () => {
  assert.equal(percentile([], 50), undefined);
  assert.equal(percentile([7], 99), 7);
  assert.equal(percentile([4, 1, 3, 2], 50), 2);
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.equal(percentile(hundred, 50), 50);
  assert.equal(percentile(hundred, 99), 99);
  assert.equal(percentile(hundred, 100), 100);
});

test("media time turns into wall clock by the anchor, before and after it", () => {
  const anchor = { wallClock: 1_795_000_000_000_000, mediaTime: 900_000 };
  assert.equal(captureTime(anchor, 900_000), 1_795_000_000_000);
  assert.equal(captureTime(anchor, 900_000 + 90), 1_795_000_000_001);
  assert.equal(captureTime(anchor, 900_000 - 90_000), 1_794_999_999_000);
});

test("rates settle at thirty pictures a second and at their bits", () => {
  const stats = new Stats();
  for (let i = 0; i < 120; i++) {
    stats.received(10_000, (i * 1000) / 30);
    stats.drawn(5, (i * 1000) / 30);
  }
  const { fps, kbps } = stats.snapshot((119 * 1000) / 30);
  assert.ok(Math.abs(fps - 30) < 0.1, String(fps));
  assert.ok(Math.abs(kbps - 2400) < 10, String(kbps));
});

test("rates fall to nothing when pictures stop", () => {
  const stats = new Stats();
  for (let i = 0; i < 60; i++) stats.drawn(5, i * 33);
  assert.equal(stats.snapshot(60 * 33 + 2_001).fps, 0);
});

test("latency looks back on the last three hundred pictures", () => {
  const stats = new Stats();
  for (let i = 0; i < 300; i++) stats.drawn(1_000, i);
  for (let i = 0; i < 300; i++) stats.drawn(10, 300 + i);
  stats.drawn(undefined, 700);
  assert.deepEqual(stats.snapshot(700).latencyMs, { p50: 10, p99: 10, last: 10 });
  assert.equal(stats.framesDrawn, 601);
  stats.forgetLatency();
  assert.equal(stats.snapshot(700).latencyMs.p50, undefined);
});
