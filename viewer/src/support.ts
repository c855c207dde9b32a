//! What the browser must bring.

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
