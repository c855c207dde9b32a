//! The plaintext of a media object (docs/wire.md §7), and the codec string a decoder wants.

import { type Bytes, Reader } from "./bytes.ts";

/** Ticks of media time a second. */
export const MEDIA_RATE = 90_000;

export type Codec = "h264" | "av1";

export interface AccessUnit {
  codec: Codec;
  keyframe: boolean;
  temporalLayer: number;
  width: number;
  height: number;
  /** Of the capture, in ticks of 1/90000 s. */
  mediaTime: number;
  /** From capture to sealed, µs. */
  sealedAfter: number;
  payload: Bytes;
}

/** `undefined` if it is malformed in any way, padding included. */
export function parseMediaObject(plaintext: Uint8Array): AccessUnit | undefined {
  const reader = new Reader(plaintext);
  const codec = reader.u8();
  const flags = reader.u8();
  const width = reader.u16();
  const height = reader.u16();
  const mediaTime = Number(reader.u64());
  const sealedAfter = reader.u32();
  const payload = reader.bytes(reader.u32());
  if (!reader.intact || (codec !== 1 && codec !== 2) || flags >> 3 !== 0) return undefined;
  if (reader.rest().some((byte) => byte !== 0)) return undefined;
  return {
    codec: codec === 1 ? "h264" : "av1",
    keyframe: (flags & 1) !== 0,
    temporalLayer: (flags >> 1) & 3,
    width,
    height,
    mediaTime,
    sealedAfter,
    payload,
  };
}

/** The WebCodecs codec string of a keyframe, or `undefined` if it carries no parameter sets. */
export function codecString(unit: AccessUnit): string | undefined {
  return unit.codec === "h264" ? h264String(unit.payload) : av1String(unit.payload);
}

/** `avc1.PPCCLL` from the first sequence parameter set (ITU-T H.264 §7.3.2.1.1, Annex B). */
function h264String(annexB: Uint8Array): string | undefined {
  for (let i = 0; i + 6 < annexB.length; i++) {
    if (annexB[i] !== 0 || annexB[i + 1] !== 0 || annexB[i + 2] !== 1) continue;
    if ((annexB[i + 3]! & 0x1f) !== 7) continue;
    const hex = (at: number) => annexB[at]!.toString(16).padStart(2, "0").toUpperCase();
    return `avc1.${hex(i + 4)}${hex(i + 5)}${hex(i + 6)}`;
  }
  return undefined;
}

/** `av01.P.LLT.DD` from the sequence header OBU (AV1 §5.3, §5.5). */
function av1String(unit: Uint8Array): string | undefined {
  let at = 0;
  while (at < unit.length) {
    const header = unit[at]!;
    at += header & 4 ? 2 : 1;
    let size = unit.length - at;
    if (header & 2) {
      size = 0;
      for (let shift = 0; shift < 35; shift += 7) {
        const byte = unit[at++] ?? 0;
        size += (byte & 0x7f) * 2 ** shift;
        if (!(byte & 0x80)) break;
      }
    }
    if (((header >> 3) & 15) === 1) return sequenceHeader(unit.subarray(at, at + size));
    at += size;
  }
  return undefined;
}

function sequenceHeader(obu: Uint8Array): string | undefined {
  let at = 0;
  const bits = (count: number): number => {
    let value = 0;
    for (; count > 0; count--, at++) value = value * 2 + (((obu[at >> 3] ?? 0) >> (7 - (at & 7))) & 1);
    return value;
  };
  const profile = bits(3);
  bits(1); // still_picture
  let level: number;
  let tier = 0;
  if (bits(1) === 1) {
    level = bits(5); // reduced_still_picture_header
  } else {
    // With timing info the fields before the level vary in length; a camera has no use for it.
    if (bits(1) === 1) return `av01.${profile}.08M.08`;
    bits(1 + 5 + 12); // initial_display_delay_present, operating_points_cnt_minus_1, operating_point_idc[0]
    level = bits(5);
    if (level > 7) tier = bits(1);
  }
  // The bit depth stands far behind; 8 bits is all a camera of version 1 sends.
  return at <= 8 * obu.length ? `av01.${profile}.${String(level).padStart(2, "0")}${tier ? "H" : "M"}.08` : undefined;
}
