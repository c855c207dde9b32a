//! The files of ../vectors/bundle must be read as they say (vectors/README.md).

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openBundle, parseBundle, type Refusal } from "../src/bundle.ts";
import { fromHex, toHex } from "../src/bytes.ts";

interface Vector {
  about: string;
  bundle: string;
  key: string;
  units?: string[];
  expect: string;
}

const FOLDER = "../vectors/bundle";
const NAMES: Partial<Record<Refusal, string>> = { damaged: "malformed" };

async function read(vector: Vector): Promise<string> {
  const bundle = await parseBundle(fromHex(vector.bundle)!);
  if (typeof bundle === "string") return NAMES[bundle] ?? bundle;
  const clip = await openBundle(bundle, fromHex(vector.key)!);
  if (typeof clip === "string") return NAMES[clip] ?? clip;
  if (clip.faults.length > 0) return "faults";
  assert.deepEqual(clip.units.map(({ unit }) => toHex(unit.payload)), vector.units);
  return "ok";
}

const files = readdirSync(FOLDER).filter((file) => file.endsWith(".json"));
test("there are bundles to read", () => assert.ok(files.length >= 10));
for (const file of files) {
  const vector = JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as Vector;
  test(`${file}: ${vector.about}`, async () => assert.equal(await read(vector), vector.expect));
}
