//! The files of ../vectors/epoch must be read as they say (vectors/README.md).

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Bytes, concat, fromHex, toHex } from "../src/bytes.ts";
import { DeviceKeys } from "../src/envelope.ts";
import { KeyTree } from "../src/keys.ts";
import { openEpoch, parseEpochFile, SpanCheck } from "../src/recorded.ts";
import { type OpenedSession, openSession } from "../src/session.ts";
import { seed } from "./seed.ts";

interface Vector {
  about: string;
  identity: string;
  device: string;
  session: string;
  manifest: string;
  first: number;
  end: number;
  kept: { epoch: number; file: string; plaintexts?: string[] }[];
  expect: string;
}

const FOLDER = "../vectors/epoch";
const bytes = (hex: string): Bytes => {
  const out = fromHex(hex);
  assert.ok(out, "not hex");
  return out;
};
const read = (file: string) => JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as Vector;

async function session(vector: Vector): Promise<OpenedSession> {
  const options = { session: bytes(vector.session), identity: bytes(vector.identity) };
  const opened = await openSession(bytes(vector.manifest), options, new DeviceKeys([bytes(vector.device)]));
  assert.ok("tree" in opened, "the manifest opens");
  return opened;
}

const files = readdirSync(FOLDER).filter((file) => file.endsWith(".json")).sort();
test("there are files of recorded epochs", () => assert.ok(files.length >= 10));

for (const file of files) {
  const vector = read(file);
  test(`${file}: ${vector.expect}`, async () => {
    const opened = await session(vector);
    const check = new SpanCheck(opened, vector.first, vector.end);
    for (const kept of vector.kept) {
      const held = await check.handle(kept.epoch, bytes(kept.file));
      if (!kept.plaintexts) {
        assert.equal(held, undefined, "a file without plaintexts is to be refused");
        continue;
      }
      const epoch = held && (await openEpoch(held.file, opened));
      assert.ok(epoch && typeof epoch !== "string", `epoch ${kept.epoch}`);
      assert.equal(epoch.dropped, 0);
      assert.deepEqual(epoch.units.map(({ plaintext }) => toHex(plaintext)), kept.plaintexts);
    }
    assert.equal(check.finish()[0]?.kind ?? "ok", vector.expect);
  });
}

test("an epoch file parses whole, and neither cut short anywhere nor with a byte more nor with any byte changed", async () => {
  const whole = bytes(read("rust-whole.json").kept[0]!.file);
  assert.ok(await parseEpochFile(whole));
  for (let end = 0; end < whole.length; end++) {
    assert.equal(await parseEpochFile(whole.slice(0, end)), undefined, `${end} bytes`);
    const changed = whole.slice();
    changed[end]! ^= 0x10;
    assert.equal(await parseEpochFile(changed), undefined, `byte ${end}`);
  }
  assert.equal(await parseEpochFile(concat(whole, new Uint8Array(1))), undefined);
});

test("an epoch whose commitment another root gives is not opened", async () => {
  const vector = read("rust-whole.json");
  const opened = await session(vector);
  const file = (await parseEpochFile(bytes(vector.kept[0]!.file)))!;
  assert.equal(await openEpoch(file, { ...opened, tree: new KeyTree(seed(1), 16, opened.id) }), "commitment");
});
