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

/** A place to remember text in. A browser that forbids it is one without memory, not a broken one. */
export interface Storing {
  recall(name: string): string | undefined;
  /** Says whether it will be recalled. */
  remember(name: string, value: string): boolean;
}

function storing(storage: () => Storage): Storing {
  return {
    recall: (name) => {
      try {
        return storage().getItem(name) ?? undefined;
      } catch {
        return undefined;
      }
    },
    remember: (name, value) => {
      try {
        storage().setItem(name, value);
        return true;
      } catch {
        return false;
      }
    },
  };
}

/** Of this tab, until it is closed. */
export const tab = storing(() => sessionStorage);
/** Of this browser, for pages of this address. Never for a key. */
export const browser = storing(() => localStorage);
