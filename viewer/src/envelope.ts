//! The root of a session, sealed to this device: HPKE (RFC 9180) base mode with X-Wing (docs/wire.md §4).

import { Aes256Gcm, CipherSuite, HkdfSha256 } from "@hpke/core";
import { XWing } from "@hpke/hybridkem-x-wing";
import { ascii, type Bytes, concat, equal, sha256 } from "./bytes.ts";
import type { Recipient, SessionManifest } from "./manifest.ts";

const suite = new CipherSuite({ kem: new XWing(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

export function hpkeInfo(session: Bytes): Bytes {
  return concat(ascii("doorframe/1 session root"), session);
}

export async function recipientId(session: Bytes, publicKey: Uint8Array): Promise<Bytes> {
  return (await sha256(ascii("doorframe/1 recipient"), session, publicKey)).slice(0, 8);
}

/** This viewer's keys, the newest first. Each is made when it is first asked for, which takes a while. */
export class DeviceKeys {
  readonly #made: Promise<DeviceKey>[] = [];

  constructor(private readonly seeds: readonly Bytes[]) {}

  /** One after the other; a session that the newest opens costs no other. */
  async *[Symbol.asyncIterator](): AsyncGenerator<DeviceKey> {
    for (const [n, seed] of this.seeds.entries()) yield await (this.#made[n] ??= DeviceKey.fromSeed(seed));
  }
}

/** This viewer's X-Wing key pair. */
export class DeviceKey {
  private constructor(
    readonly publicKey: Bytes,
    readonly handle: CryptoKey,
  ) {}

  static async fromSeed(seed: Bytes): Promise<DeviceKey> {
    const handle = await suite.kem.importKey("raw", seed.slice().buffer, false);
    const { publicKey } = await new XWing().generateKeyPairDerand(seed);
    return new DeviceKey(new Uint8Array(await suite.kem.serializePublicKey(publicKey)), handle);
  }

  /** The entries under this device's id: one, unless two ids collide. */
  async entries(manifest: SessionManifest): Promise<Recipient[]> {
    const id = await recipientId(manifest.session, this.publicKey);
    return manifest.recipients.filter((recipient) => equal(recipient.id, id));
  }

  /** `undefined` if it was not sealed to this device, for this session and body. */
  open(manifest: SessionManifest, entry: Recipient): Promise<Bytes | undefined> {
    return this.openSealed(hpkeInfo(manifest.session), manifest.body, entry.encapsulated, entry.ciphertext);
  }

  /** `undefined` if it was not sealed to this device, with this `info` and `aad`. */
  async openSealed(info: Bytes, aad: Bytes, encapsulated: Bytes, ciphertext: Bytes): Promise<Bytes | undefined> {
    try {
      const context = await suite.createRecipientContext({ recipientKey: this.handle, enc: encapsulated.slice().buffer, info: info.buffer });
      return new Uint8Array(await context.open(ciphertext.slice().buffer, aad.slice().buffer));
    } catch {
      return undefined;
    }
  }
}
