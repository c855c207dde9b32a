//! The files of ../vectors/grant must be read as they say (vectors/README.md).

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Bytes, fromHex, toHex } from "../src/bytes.ts";
import { DeviceKey } from "../src/envelope.ts";
import { checkCover, coverOf, grantedKeys, type GrantPart, openGrant } from "../src/grant.ts";

interface Vector {
  device: string;
  grant: string;
  camera?: string;
  granter?: string;
  id?: string;
  made?: number;
  expiry?: number | null;
  parts?: { session: string; first: number; end: number; kind: string; track: string; commitments: Record<string, string>; not: number[] }[];
  expect: string;
}

const FOLDER = "../vectors/grant";
const bytes = (hex: string): Bytes => {
  const out = fromHex(hex);
  assert.ok(out, "not hex");
  return out;
};

const files = readdirSync(FOLDER).filter((file) => file.endsWith(".json")).sort();
test("there are files of grants", () => assert.ok(files.length >= 30));

for (const file of files) {
  const vector = JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as Vector;
  test(`grant ${file}: ${vector.expect}`, async () => {
    const grant = await openGrant(bytes(vector.grant), await DeviceKey.fromSeed(bytes(vector.device)));
    if (typeof grant === "string") return assert.equal(grant, vector.expect);
    assert.equal("ok", vector.expect);
    assert.deepEqual(
      [toHex(grant.camera), toHex(grant.granter), toHex(grant.id), grant.made, grant.expiry ?? null],
      [vector.camera, vector.granter, vector.id, vector.made, vector.expiry],
    );
    assert.equal(grant.parts.length, vector.parts!.length);
    for (const [i, wanted] of vector.parts!.entries()) {
      const part: GrantPart = grant.parts[i]!;
      assert.deepEqual([toHex(part.session), part.first, part.end, part.kind], [wanted.session, wanted.first, wanted.end, wanted.kind]);
      for (const [epoch, commitment] of Object.entries(wanted.commitments)) {
        assert.equal(toHex((await grantedKeys(part, Number(epoch), wanted.track))!.commitment), commitment, `epoch ${epoch}`);
      }
      for (const epoch of wanted.not) assert.equal(await grantedKeys(part, epoch, wanted.track), undefined, `epoch ${epoch}`);
    }
  });
}

test("of all lists of nodes only the cover is taken", () => {
  const depth = 2;
  const nodes = [0, 1, 2].flatMap((level) => Array.from({ length: 2 ** level }, (_, index) => ({ level, index })));
  const lists = nodes.flatMap((a) => [[a], ...nodes.flatMap((b) => [[a, b], ...nodes.map((c) => [a, b, c])])]);
  for (let first = 0; first < 4; first++) {
    for (let end = first + 1; end <= 4; end++) {
      const taken = lists.filter((list) => checkCover(list, first, end, depth) === undefined);
      assert.deepEqual(taken, [coverOf(first, end, depth)], `${first}..${end}`);
    }
  }
});
