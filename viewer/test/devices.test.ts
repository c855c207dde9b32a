//! The files of ../vectors/devices and ../vectors/recovery must be read as they say (vectors/README.md).

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Signer } from "../dev/camera.ts";
import { type Bytes, fromHex, sha256, toHex } from "../src/bytes.ts";
import { DeviceKey } from "../src/envelope.ts";
import { Lists, recoverySeeds } from "./devices.ts";

interface Vector {
  start: string;
  steps: { record: string; changes?: string[] }[];
  recipients: { at: number; keys: string[]; next_expiry: number | null }[];
  stated: { version: number; hash: string; expect: string }[];
  expect: string;
}

interface RecoveryVector {
  entropy?: string;
  signing_key?: string;
  xwing_key_hash?: string;
  expect: string;
}

const bytes = (hex: string): Bytes => {
  const out = fromHex(hex);
  assert.ok(out, "not hex");
  return out;
};

function read<V>(folder: string): [string, V][] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".json")).sort();
  return files.map((file) => [file, JSON.parse(readFileSync(join(folder, file), "utf8")) as V]);
}

async function readVector(vector: Vector): Promise<string> {
  const lists = await Lists.first(bytes(vector.start));
  if (typeof lists === "string") return lists;
  let found = "ok";
  for (const { record, changes } of vector.steps) {
    assert.equal(found, "ok", "only the last step may be refused");
    const given = bytes(record);
    const update: string[] | undefined | string = given[1] === 5 ? await lists.handleRotation(given) : await lists.handle(given);
    if (typeof update === "string") found = update;
    else assert.deepEqual(update, changes);
  }
  for (const { at, keys, next_expiry } of vector.recipients) {
    assert.deepEqual(await Promise.all(lists.recipients(at).map(async (key) => toHex(await sha256(key)))), keys, `at ${at}`);
    assert.equal(lists.nextExpiry(at) ?? null, next_expiry, `at ${at}`);
  }
  for (const { version, hash, expect } of vector.stated) assert.equal(lists.compare(version, bytes(hash)), expect, `version ${version}`);
  return found;
}

const vectors = read<Vector>("../vectors/devices");
test("there are files of device lists", () => assert.ok(vectors.length >= 30));
for (const [file, vector] of vectors) {
  test(`devices ${file}: ${vector.expect}`, async () => assert.equal(await readVector(vector), vector.expect));
}

test("no list is taken that is cut short, longer, or differs by a bit", async () => {
  const start = bytes(vectors.find(([file]) => file === "first.json")![1].start);
  assert.ok(typeof (await Lists.first(start)) !== "string");
  for (let end = 0; end < start.length; end += 13) assert.equal(await Lists.first(start.slice(0, end)), "list.malformed", `${end} bytes`);
  for (let at = 0; at < start.length; at += 29) {
    const other = start.slice();
    other[at]! ^= 1;
    assert.equal(typeof (await Lists.first(other)), "string", `byte ${at}`);
  }
});

// The words themselves are BIP-39's, whose list of words the viewer does not have.
for (const [file, vector] of read<RecoveryVector>("../vectors/recovery").filter(([, { entropy }]) => entropy !== undefined)) {
  test(`recovery ${file}: the keys that its bytes make`, async () => {
    const seeds = await recoverySeeds(bytes(vector.entropy!));
    assert.equal(toHex((await Signer.fromSeed(seeds.signing)).publicKey), vector.signing_key);
    assert.equal(toHex(await sha256((await DeviceKey.fromSeed(seeds.device)).publicKey)), vector.xwing_key_hash);
  });
}
