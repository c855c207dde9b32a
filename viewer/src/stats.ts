//! How well it goes: latency, pictures a second, bit rate. Pure: times are arguments.

import { MEDIA_RATE } from "./media.ts";
import type { Anchor } from "./opener.ts";

/** Pictures that the percentiles look back on: ten seconds at 30 a second. */
const SAMPLES = 300;
/** Rates are means over this. */
const WINDOW_MS = 2_000;

/** The capture's time by the camera's wall clock, ms since 1970. */
export function captureTime(anchor: Anchor, mediaTime: number): number {
  return anchor.wallClock / 1_000 + ((mediaTime - anchor.mediaTime) * 1_000) / MEDIA_RATE;
}

/** Nearest rank; `values` need not be sorted. `undefined` without values. */
export function percentile(values: readonly number[], percent: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
}

/** Events of the last {@link WINDOW_MS}, each with a weight. */
class Rate {
  #events: { at: number; weight: number }[] = [];

  add(at: number, weight: number): void {
    this.#events.push({ at, weight });
    this.#trim(at);
  }

  #trim(now: number): void {
    const old = this.#events.findIndex(({ at }) => at > now - WINDOW_MS);
    this.#events = old < 0 ? [] : this.#events.slice(old);
  }

  /** A second, over the part of the window since the first event. */
  perSecond(now: number): number {
    this.#trim(now);
    const first = this.#events[0];
    if (!first || this.#events.length < 2) return 0;
    // The first event opens the span and so is not counted in it.
    const sum = this.#events.slice(1).reduce((total, { weight }) => total + weight, 0);
    return (1_000 * sum) / Math.max(now - first.at, 1);
  }
}

export interface Snapshot {
  latencyMs: { p50: number | undefined; p99: number | undefined; last: number | undefined };
  fps: number;
  kbps: number;
}

export class Stats {
  framesDrawn = 0;
  #latencies: number[] = [];
  readonly #frames = new Rate();
  readonly #bits = new Rate();

  received(bytes: number, now: number): void {
    this.#bits.add(now, 8 * bytes);
  }

  /** `latency`: from capture to drawn, ms; `undefined` while the clocks are known to differ. */
  drawn(latency: number | undefined, now: number): void {
    this.framesDrawn++;
    this.#frames.add(now, 1);
    if (latency === undefined) return;
    this.#latencies.push(latency);
    if (this.#latencies.length > SAMPLES) this.#latencies.shift();
  }

  /** Another session or another clock: what was measured says nothing about it. */
  forgetLatency(): void {
    this.#latencies = [];
  }

  snapshot(now: number): Snapshot {
    const latencies = this.#latencies;
    return {
      latencyMs: { p50: percentile(latencies, 50), p99: percentile(latencies, 99), last: latencies.at(-1) },
      fps: this.#frames.perSecond(now),
      kbps: this.#bits.perSecond(now) / 1_000,
    };
  }
}
