//! A session manifest and what it must hold before anything of its session is believed (docs/wire.md §4).

import { type Bytes, equal } from "./bytes.ts";
import type { DeviceKeys } from "./envelope.ts";
import { KeyTree } from "./keys.ts";
import { importVerifier, parseSealedRoot, parseSession, type SessionManifest, verify } from "./manifest.ts";
import type { Layer } from "./opener.ts";
import { SUITE_AES_256_GCM } from "./sframe.ts";

export interface OpenedSession {
  id: Bytes;
  tree: KeyTree;
  /** Of the session key: signs openings and closings. */
  verifier: CryptoKey;
  manifest: SessionManifest;
}

export interface SessionRefused {
  layer: Layer;
  /** The cipher suite, where that is why. */
  suite?: number;
}

export interface SessionOptions {
  /** Session id that it was asked for by; `undefined` takes any. */
  session?: Bytes | undefined;
  /** The identity key pinned at pairing. */
  identity: Bytes;
}

/** The session, or the first check that fails. Of `devices`, the keys before the newest are for sessions from before it was known to the camera. */
export async function openSession(record: Bytes, options: SessionOptions, devices: DeviceKeys): Promise<OpenedSession | SessionRefused> {
  const manifest = parseSession(record);
  if (!manifest) return { layer: "session.malformed" };
  if (manifest.suite !== SUITE_AES_256_GCM) return { layer: "session.suite", suite: manifest.suite };
  if (options.session && !equal(manifest.session, options.session)) return { layer: "session.id" };
  const verifier = await importVerifier(manifest.publicKey);
  if (!verifier || !(await verify(verifier, "session manifest", manifest.signed, manifest.signature))) return { layer: "session.signature" };

  let isRecipient = false;
  let plaintext: Bytes | undefined;
  for await (const key of devices) {
    for (const entry of await key.entries(manifest)) {
      isRecipient = true;
      plaintext ??= await key.open(manifest, entry);
    }
    if (plaintext) break;
  }
  if (!isRecipient) return { layer: "session.recipient" };
  const sealed = plaintext && parseSealedRoot(plaintext);
  if (!sealed) return { layer: "session.hpke" };
  if (!equal(sealed.identity, options.identity)) return { layer: "session.identity" };
  const identity = await importVerifier(sealed.identity);
  if (!(await verify(identity, "session certificate", manifest.body, sealed.certificate))) return { layer: "session.certificate" };

  const id = manifest.session.slice();
  return { id, verifier, tree: new KeyTree(sealed.root, manifest.depth, id), manifest };
}
