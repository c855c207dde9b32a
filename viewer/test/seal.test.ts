//! The key tree and sealed objects: the files of ../vectors/seal.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fromHex, toHex } from "../src/bytes.ts";
import { KeyTree } from "../src/keys.ts";
import { parseHeader, SframeKey, SUITE_CHACHA20 } from "../src/sframe.ts";

const FOLDER = "../vectors/seal";
const TAG = 16;

interface Vector {
  root: string;
  depth: number;
  session: string;
  epoch: number;
  track: string;
  suite: number;
  commitment: string;
  object: string;
  position?: number;
  plaintext?: string;
  expect: string;
}

async function read(vector: Vector): Promise<string> {
  if (vector.epoch >= 2 ** vector.depth) return "no such epoch";
  const tree = new KeyTree(fromHex(vector.root)!, vector.depth, fromHex(vector.session)!);
  const { base, commitment } = await tree.epochKeys(vector.epoch, vector.track);
  if (toHex(commitment) !== vector.commitment) return "uncommitted";
  const object = fromHex(vector.object)!;
  const header = parseHeader(object);
  if (!header) return "malformed";
  if (header.kid !== BigInt(vector.epoch)) return "other epoch";
  if (object.length < header.length + TAG) return "malformed";
  // No browser has this one: as far as here it is read all the same.
  if (vector.suite === SUITE_CHACHA20) {
    assert.equal(Number(header.ctr), vector.position);
    return "ok";
  }
  const plaintext = await (await SframeKey.derive(base, header.kid)).open(header, object);
  if (!plaintext) return "unopened";
  assert.deepEqual([Number(header.ctr), toHex(plaintext)], [vector.position, vector.plaintext]);
  return "ok";
}

test("vectors of sealed objects are read as they say", async () => {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
  assert.ok(names.length >= 16, `only ${names.length} vectors`);
  for (const name of names) {
    const vector = JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as Vector;
    assert.equal(await read(vector), vector.expect, name);
  }
});
