//! A camera for tests and development: seals as docs/wire.md says. Not part of the page.

import { Aes256Gcm, CipherSuite, HkdfSha256 } from "@hpke/core";
import { XWing } from "@hpke/hybridkem-x-wing";
import { ascii, type Bytes, concat, fromBase64url, sha256, toHex, u16, u32, u64 } from "../src/bytes.ts";
import { DeviceKey, hpkeInfo, recipientId } from "../src/envelope.ts";
import { KeyTree } from "../src/keys.ts";
import { SframeKey, SUITE_AES_256_GCM } from "../src/sframe.ts";

const u8 = (value: number) => new Uint8Array([value]);
const ZEROS = new Uint8Array(32);

export class Signer {
  private constructor(
    readonly publicKey: Bytes,
    readonly key: CryptoKey,
  ) {}

  static async fromSeed(seed: Bytes): Promise<Signer> {
    const pkcs8 = concat(new Uint8Array([0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]), seed);
    const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
    const { x } = await crypto.subtle.exportKey("jwk", key);
    return new Signer(fromBase64url(x!)!, key);
  }

  async sign(purpose: string, signed: Bytes): Promise<Bytes> {
    return new Uint8Array(await crypto.subtle.sign("Ed25519", this.key, concat(ascii(`doorframe/1 ${purpose}`), signed)));
  }
}

export interface CameraOptions {
  identitySeed: Bytes;
  sessionSeed: Bytes;
  session: Bytes;
  root: Bytes;
  /** Seeds of the devices on the list. */
  devices: Bytes[];
  /** µs since 1970. */
  start: number;
  epochLengthMs?: number;
  depth?: number;
  suite?: number;
  deviceListVersion?: number;
  /** Instead of a random encapsulation: for files that must come out the same. */
  ekm?: Bytes;
}

export interface OpeningOptions {
  wallClock?: number;
  mediaTime?: number;
  closingBefore?: Bytes;
  challenges?: Bytes[];
  commitment?: Bytes;
  track?: string;
  /** Tracks beside it. */
  beside?: string[];
}

export class Camera {
  manifest!: Bytes;
  identity!: Signer;
  tree!: KeyTree;
  #signer!: Signer;
  #keys = new Map<string, Promise<SframeKey>>();

  private constructor(readonly options: CameraOptions) {}

  static async start(options: CameraOptions): Promise<Camera> {
    const camera = new Camera(options);
    const { session, root, devices, start, epochLengthMs = 2000, depth = 16, suite = SUITE_AES_256_GCM, deviceListVersion = 3 } = options;
    camera.identity = await Signer.fromSeed(options.identitySeed);
    camera.#signer = await Signer.fromSeed(options.sessionSeed);
    camera.tree = new KeyTree(root, depth, session);
    const body = concat(
      u8(1), u8(1), session, u16(suite), u16(epochLengthMs), u8(depth), u8(1), camera.#signer.publicKey,
      u64(BigInt(start)), u32(deviceListVersion), await sha256(ascii("device list")), ZEROS,
    );
    const certificate = await camera.identity.sign("session certificate", body);
    const plaintext = concat(u8(1), root, u8(1), camera.identity.publicKey, certificate);
    const hpke = new CipherSuite({ kem: new XWing(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
    const entries: Bytes[] = [];
    for (const seed of devices) {
      const { publicKey } = await DeviceKey.fromSeed(seed);
      const recipientPublicKey = await hpke.kem.importKey("raw", publicKey.buffer, true);
      const ekm = options.ekm ? { ekm: options.ekm.slice().buffer } : {};
      const sender = await hpke.createSenderContext({ recipientPublicKey, info: hpkeInfo(session).buffer, ...ekm });
      const sealed = new Uint8Array(await sender.seal(plaintext.buffer, body.buffer));
      entries.push(concat(await recipientId(session, publicKey), new Uint8Array(sender.enc), sealed));
    }
    camera.manifest = await camera.#signed("session manifest", concat(body, u16(entries.length), ...entries));
    return camera;
  }

  get id(): string {
    return toHex(this.options.session);
  }

  async #signed(purpose: string, signed: Bytes): Promise<Bytes> {
    return concat(signed, await this.#signer.sign(purpose, signed));
  }

  async opening(epoch: number, options: OpeningOptions = {}): Promise<Bytes> {
    const { session, start, epochLengthMs = 2000, deviceListVersion = 3 } = this.options;
    const { closingBefore = ZEROS, challenges = [], track = "video", beside = [] } = options;
    const mediaTime = options.mediaTime ?? epoch * epochLengthMs * 90;
    const wallClock = options.wallClock ?? start + epoch * epochLengthMs * 1000;
    const commitment = options.commitment ?? (await this.tree.epochKeys(epoch, track)).commitment;
    const others: Bytes[] = [];
    for (const other of beside) others.push(concat(u8(other.length), ascii(other), (await this.tree.epochKeys(epoch, other)).commitment));
    return this.#signed("opening", concat(
      u8(1), u8(2), session, u32(epoch), u64(BigInt(Math.round(wallClock))), u64(BigInt(Math.round(mediaTime))), closingBefore,
      u32(deviceListVersion), await sha256(ascii("device list")), ZEROS,
      u8(1 + beside.length), u8(track.length), ascii(track), commitment, ...others, u8(challenges.length), ...challenges,
    ));
  }

  async closing(
    epoch: number, opening: Bytes, objects: Bytes[], track = "video", count = objects.length, beside: Record<string, Bytes[]> = {},
  ): Promise<Bytes> {
    const { session } = this.options;
    const tallies: Bytes[] = [];
    for (const [name, sealed] of Object.entries({ [track]: objects, ...beside })) {
      let chain = await sha256(ascii("doorframe/1 chain"), session, u32(epoch), ascii(name));
      for (const object of sealed) chain = await sha256(chain, await sha256(object));
      tallies.push(concat(u8(name.length), ascii(name), u32(name === track ? count : sealed.length), chain));
    }
    return this.#signed("closing", concat(u8(1), u8(3), session, u32(epoch), await sha256(opening), u8(tallies.length), ...tallies));
  }

  async seal(epoch: number, position: number, plaintext: Bytes, kid = epoch, track = "video"): Promise<Bytes> {
    const name = `${epoch} ${kid} ${track}`;
    let key = this.#keys.get(name);
    if (!key) {
      key = this.tree.epochKeys(epoch, track).then(({ base }) => SframeKey.derive(base, BigInt(kid)));
      this.#keys.set(name, key);
    }
    return sframeSeal(await key, BigInt(kid), BigInt(position), plaintext);
  }
}

export function sframeHeader(kid: bigint, ctr: bigint): Bytes {
  const field = (value: bigint): [number, Bytes] => {
    if (value <= 7n) return [Number(value), new Uint8Array(0)];
    const bytes = u64(value);
    const first = bytes.findIndex((byte) => byte !== 0);
    return [8 | (7 - first), bytes.slice(first)];
  };
  const [k, kidBytes] = field(kid);
  const [c, ctrBytes] = field(ctr);
  return concat(u8((k << 4) | c), kidBytes, ctrBytes);
}

export async function sframeSeal(key: SframeKey, kid: bigint, ctr: bigint, plaintext: Bytes, metadata: Bytes = new Uint8Array(0)): Promise<Bytes> {
  const header = sframeHeader(kid, ctr);
  const params = { name: "AES-GCM", iv: key.nonce(ctr), additionalData: concat(header, metadata), tagLength: 128 };
  return concat(header, new Uint8Array(await crypto.subtle.encrypt(params, key.key, plaintext)));
}

export interface UnitOptions {
  keyframe?: boolean;
  codec?: number;
  width?: number;
  height?: number;
  mediaTime?: number;
  sealedAfter?: number;
  padding?: number;
}

export function mediaObject(payload: Uint8Array, options: UnitOptions = {}): Bytes {
  const { keyframe = false, codec = 1, width = 640, height = 360, mediaTime = 0, sealedAfter = 1500, padding = 0 } = options;
  return concat(
    u8(codec), u8(keyframe ? 1 : 0), u16(width), u16(height), u64(BigInt(Math.round(mediaTime))), u32(sealedAfter), u32(payload.length),
    payload, new Uint8Array(padding),
  );
}
