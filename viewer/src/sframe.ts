//! SFrame (RFC 9605) as docs/wire.md §7 uses it: header, keys of a KID, opening one ciphertext.

import { ascii, type Bytes, concat, Reader, u16, u64 } from "./bytes.ts";

/** AES_256_GCM_SHA512_128, RFC 9605 §4.5. */
export const SUITE_AES_256_GCM = 0x0005;
/** ChaCha20-Poly1305 with HKDF-SHA-512: private use; browsers lack the cipher. */
export const SUITE_CHACHA20 = 0xf001;

const TAG = 16;

export interface SframeHeader {
  kid: bigint;
  ctr: bigint;
  /** Of the header itself, in bytes. */
  length: number;
}

/** `undefined` if it is cut short or a number is not in its shortest form (RFC 9605 §4.3). */
export function parseHeader(object: Uint8Array): SframeHeader | undefined {
  const reader = new Reader(object);
  const config = reader.u8();
  const field = (extended: boolean, bits: number): bigint | undefined => {
    if (!extended) return BigInt(bits);
    let value = 0n;
    for (let i = 0; i <= bits; i++) value = (value << 8n) | BigInt(reader.u8());
    const shortest = value > 7n && (bits === 0 || value >> BigInt(8 * bits) !== 0n);
    return shortest ? value : undefined;
  };
  const kid = field((config & 0x80) !== 0, (config >> 4) & 7);
  const ctr = field((config & 0x08) !== 0, config & 7);
  if (!reader.intact || kid === undefined || ctr === undefined) return undefined;
  return { kid, ctr, length: reader.position };
}

/** Opens what was sealed under one base key and one KID. */
export class SframeKey {
  private constructor(
    readonly kid: bigint,
    readonly key: CryptoKey,
    readonly salt: Bytes,
  ) {}

  static async derive(base: Bytes, kid: bigint): Promise<SframeKey> {
    const secret = await crypto.subtle.importKey("raw", base, "HKDF", false, ["deriveBits"]);
    const bits = async (label: string, length: number) => {
      const info = concat(ascii(label), u64(kid), u16(SUITE_AES_256_GCM));
      const params = { name: "HKDF", hash: "SHA-512", salt: new Uint8Array(0), info };
      return new Uint8Array(await crypto.subtle.deriveBits(params, secret, 8 * length));
    };
    const [key, salt] = await Promise.all([bits("SFrame 1.0 Secret key ", 32), bits("SFrame 1.0 Secret salt ", 12)]);
    return new SframeKey(kid, await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]), salt);
  }

  nonce(ctr: bigint): Bytes {
    const nonce = this.salt.slice();
    const counter = u64(ctr);
    for (let i = 0; i < 8; i++) nonce[4 + i]! ^= counter[i]!;
    return nonce;
  }

  /** `undefined` if the tag does not hold. `metadata` is empty in every object of ours. */
  async open(header: SframeHeader, object: Uint8Array, metadata: Uint8Array = new Uint8Array(0)): Promise<Bytes | undefined> {
    const additionalData = concat(object.subarray(0, header.length), metadata);
    const body = (object as Bytes).subarray(header.length);
    if (body.length < TAG) return undefined;
    const params = { name: "AES-GCM", iv: this.nonce(header.ctr), additionalData, tagLength: 8 * TAG };
    try {
      return new Uint8Array(await crypto.subtle.decrypt(params, this.key, body));
    } catch {
      return undefined;
    }
  }
}
