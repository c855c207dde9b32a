//! A session manifest and what it must hold before anything of its session is believed (docs/wire.md §4).

import { type Bytes, equal } from "./bytes.ts";
import type { DeviceKey } from "./envelope.ts";
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

/** The session, or the first check that fails. `device` is asked for once it is needed: making it takes a while. */
export async function openSession(record: Bytes, options: SessionOptions, device: () => Promise<DeviceKey>): Promise<OpenedSession | SessionRefused> {
  const manifest = parseSession(record);
  if (!manifest) return { layer: "session.malformed" };
  if (manifest.suite !== SUITE_AES_256_GCM) return { layer: "session.suite", suite: manifest.suite };
  if (options.session && !equal(manifest.session, options.session)) return { layer: "session.id" };
  const verifier = await importVerifier(manifest.publicKey);
  if (!verifier || !(await verify(verifier, "session manifest", manifest.signed, manifest.signature))) return { layer: "session.signature" };

  const key = await device();
  const entries = await key.entries(manifest);
  if (entries.length === 0) return { layer: "session.recipient" };
  let plaintext: Bytes | undefined;
  for (const entry of entries) plaintext ??= await key.open(manifest, entry);
  const sealed = plaintext && parseSealedRoot(plaintext);
  if (!sealed) return { layer: "session.hpke" };
  if (!equal(sealed.identity, options.identity)) return { layer: "session.identity" };
  const identity = await importVerifier(sealed.identity);
  if (!(await verify(identity, "session certificate", manifest.body, sealed.certificate))) return { layer: "session.certificate" };

  const id = manifest.session.slice();
  return { id, verifier, tree: new KeyTree(sealed.root, manifest.depth, id), manifest };
}
