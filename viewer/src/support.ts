//! What the browser must bring, and what it may.

import type { State } from "./status.ts";

export async function missingSupport(): Promise<State | undefined> {
  if (!isSecureContext) return "insecure";
  if (typeof WebTransport === "undefined") return "no-webtransport";
  if (typeof VideoDecoder === "undefined") return "no-webcodecs";
  try {
    await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    await crypto.subtle.generateKey("X25519", false, ["deriveBits"]);
  } catch {
    return "no-crypto";
  }
  return undefined;
}

/** Storage of this tab. A browser that forbids it is one without memory, not a broken one. */
export const tab = {
  recall(name: string): string | undefined {
    try {
      return sessionStorage.getItem(name) ?? undefined;
    } catch {
      return undefined;
    }
  },
  /** Says whether it will be recalled. */
  remember(name: string, value: string): boolean {
    try {
      sessionStorage.setItem(name, value);
      return true;
    } catch {
      return false;
    }
  },
};
