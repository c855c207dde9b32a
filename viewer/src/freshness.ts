//! Is this now, or a recording of the past? By the clock claim, and by the viewer's own challenge (docs/wire.md §5).

import { type Bytes, equal } from "./bytes.ts";
import type { Opening } from "./manifest.ts";

/** Furthest that a fresh opening's clock may be from this device's, µs. */
export const TOLERANCE = 10_000_000;

export interface Fresh {
  /** `proved`: carries this viewer's challenge, or follows one that did without falling behind. `claimed`: the clocks agree. */
  verdict: "proved" | "claimed" | "stale";
  /** Camera's clock minus this device's, µs, as far as the opening tells. */
  offset: number;
}

/**
 * A proof also tells how far apart the two clocks are. From then on footage may not fall behind *that*: else a hub
 * could delay a camera whose clock is wrong for as long as it likes after one proof.
 */
export class Freshness {
  #proved: number | undefined;

  constructor(readonly challenge: Bytes | undefined) {}

  judge(opening: Opening, now: number): Fresh {
    const offset = opening.wallClock - now;
    const { challenge } = this;
    const carries = challenge !== undefined && opening.challenges.some((other) => equal(other, challenge));
    if (this.#proved === undefined && carries) this.#proved = offset;
    if (this.#proved !== undefined && Math.abs(offset - this.#proved) <= TOLERANCE) return { verdict: "proved", offset };
    return { verdict: Math.abs(offset) <= TOLERANCE ? "claimed" : "stale", offset };
  }
}
