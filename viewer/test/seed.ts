import { createHash } from "node:crypto";
import type { Bytes } from "../src/bytes.ts";

/** Bytes that look random and are the same every time. */
export function seed(number: number, length = 32): Bytes {
  return new Uint8Array(createHash("shake256", { outputLength: Math.max(length, 1) }).update(`seed ${number}`).digest().subarray(0, length));
}
