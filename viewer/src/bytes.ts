//! Byte strings: joining, comparing, text forms, and a reader that cannot run over the end.

export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();

/** ASCII text as bytes, without an end mark. */
export function ascii(text: string): Bytes {
  return encoder.encode(text) as Bytes;
}

export function concat(...parts: Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Not constant in time: for public values, and for secrets only where the peer cannot measure. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

export function u16(value: number): Bytes {
  return new Uint8Array([value >>> 8, value]);
}

export function u32(value: number): Bytes {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value);
  return out;
}

export function u64(value: bigint): Bytes {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, value);
  return out;
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** `undefined` unless the text is pairs of hex digits. */
export function fromHex(text: string): Bytes | undefined {
  if (!/^([0-9a-fA-F]{2})*$/.test(text)) return undefined;
  return new Uint8Array(Array.from({ length: text.length / 2 }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16)));
}

/** Base64url without padding (RFC 4648 §5). `undefined` if it is not, or has stray bits at its end. */
export function fromBase64url(text: string): Bytes | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return undefined;
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
  return toBase64url(bytes) === text ? bytes : undefined;
}

export function toBase64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

export async function sha256(...parts: Uint8Array[]): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", concat(...parts)));
}

/**
 * Reads a record from front to back. Past the end it gives zeros and remembers: whatever was
 * read counts only if {@link complete} then holds, so a parser needs one check, not one a field.
 */
export class Reader {
  readonly #bytes: Bytes;
  readonly #view: DataView;
  #at = 0;
  #short = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes as Bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #take(length: number): number | undefined {
    const at = this.#at;
    if (this.#short || length > this.#bytes.length - at) {
      this.#short = true;
      return undefined;
    }
    this.#at = at + length;
    return at;
  }

  /** How many bytes were read. */
  get position(): number {
    return this.#at;
  }

  /** Nothing was missing so far. */
  get intact(): boolean {
    return !this.#short;
  }

  /** Nothing was missing and nothing is left over. */
  get complete(): boolean {
    return !this.#short && this.#at === this.#bytes.length;
  }

  /** Everything read so far. */
  get before(): Bytes {
    return this.#bytes.subarray(0, this.#at);
  }

  u8(): number {
    const at = this.#take(1);
    return at === undefined ? 0 : this.#view.getUint8(at);
  }

  u16(): number {
    const at = this.#take(2);
    return at === undefined ? 0 : this.#view.getUint16(at);
  }

  u32(): number {
    const at = this.#take(4);
    return at === undefined ? 0 : this.#view.getUint32(at);
  }

  u64(): bigint {
    const at = this.#take(8);
    return at === undefined ? 0n : this.#view.getBigUint64(at);
  }

  /** A view, not a copy; empty when short. */
  bytes(length: number): Bytes {
    const at = this.#take(length);
    return at === undefined ? new Uint8Array(0) : this.#bytes.subarray(at, at + length);
  }

  rest(): Bytes {
    return this.bytes(this.#bytes.length - this.#at);
  }
}
