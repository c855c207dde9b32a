//! Known answers from the standards: HKDF (RFC 5869 Appendix A), SFrame (RFC 9605 Appendix C), the key tree.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { sframeHeader, sframeSeal } from "../dev/camera.ts";
import { ascii, concat, fromHex, toHex, u32 } from "../src/bytes.ts";
import { childNode, hkdfExpand, KeyTree } from "../src/keys.ts";
import { parseHeader, SframeKey } from "../src/sframe.ts";

const hex = (text: string) => fromHex(text)!;

test("hkdf expand gives the answers of rfc 5869", async () => {
  const cases = [
    // A.1
    ["077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5", "f0f1f2f3f4f5f6f7f8f9", "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"],
    // A.3
    ["19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04", "", "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"],
  ] as const;
  for (const [prk, info, okm] of cases) assert.equal(toHex(await hkdfExpand(hex(prk), hex(info), okm.length / 2)), okm);
});

test("sframe opens the ciphertext of rfc 9605 for AES_256_GCM_SHA512_128", async () => {
  const metadata = hex("4945544620534672616d65205747");
  const ct = hex("990123456794f509d36e9beacb0e261d99c7d1e972f1fed787d4049f17ca21353c1cc24d56ceabced279");
  const key = await SframeKey.derive(hex("000102030405060708090a0b0c0d0e0f"), 0x123n);
  assert.equal(toHex(key.salt), "84991c167b8cd23c93708ec7");
  assert.equal(toHex(key.nonce(0x4567n)), "84991c167b8cd23c9370cba0");
  const header = parseHeader(ct)!;
  assert.deepEqual(header, { kid: 0x123n, ctr: 0x4567n, length: 5 });
  const opened = await key.open(header, ct, metadata);
  assert.equal(toHex(opened!), "64726166742d696574662d736672616d652d656e63");
  assert.equal(toHex(await sframeSeal(key, 0x123n, 0x4567n, opened!, metadata)), toHex(ct));
  assert.equal(await key.open(header, ct), undefined);
});

test("sframe headers are those of rfc 9605", () => {
  const cases: [bigint, bigint, string][] = [
    [0n, 0n, "00"], [0n, 1n, "01"], [7n, 7n, "77"], [0n, 255n, "08ff"], [0n, 256n, "090100"], [255n, 0n, "80ff"], [256n, 255n, "980100ff"],
    [0xffffn, 0xffffn, "99ffffffff"], [2n ** 64n - 1n, 2n ** 64n - 1n, "ffffffffffffffffffffffffffffffffff"],
  ];
  for (const [kid, ctr, encoded] of cases) {
    assert.equal(toHex(sframeHeader(kid, ctr)), encoded);
    assert.deepEqual(parseHeader(hex(encoded)), { kid, ctr, length: encoded.length / 2 });
  }
});

test("a header that is cut short or not in its shortest form is refused", () => {
  for (const bad of ["", "08", "0900", "0807", "8007", "80", "090001", "ffffffff"]) assert.equal(parseHeader(hex(bad)), undefined, bad);
});

test("every leaf is the one that a direct walk finds, in whatever order leaves are asked for", async () => {
  const session = new Uint8Array(16).fill(9);
  const root = new Uint8Array(32).fill(5);
  for (const depth of [1, 2, 5, 16, 32]) {
    const tree = new KeyTree(root, depth, session);
    const last = 2 ** depth - 1;
    for (const epoch of [0, 1, 1, last, last - 1, 3, 2, Math.floor(last / 2), Math.floor(last / 2) + 1].filter((epoch) => epoch >= 0 && epoch <= last)) {
      let node: Buffer = Buffer.from(root);
      for (let level = depth - 1; level >= 0; level--) {
        const bit = Math.floor(epoch / 2 ** level) % 2;
        node = createHmac("sha256", node).update(concat(ascii("doorframe/1 node"), new Uint8Array([bit, 1]))).digest();
      }
      assert.equal(toHex(await tree.leaf(epoch)), node.toString("hex"), `depth ${depth}, epoch ${epoch}`);
    }
    assert.ok(tree.covers(last));
    assert.ok(!tree.covers(last + 1) && !tree.covers(-1) && !tree.covers(0.5));
  }
});

test("epoch keys are cut from one expansion of 96 bytes", async () => {
  const session = new Uint8Array(16).fill(9);
  const tree = new KeyTree(new Uint8Array(32).fill(5), 16, session);
  const keys = await tree.epochKeys(77, "video");
  const leaf = await tree.leaf(77);
  const all = await hkdfExpand(leaf, concat(ascii("doorframe/1 epoch"), session, u32(77), ascii("video")), 96);
  assert.equal(toHex(concat(keys.base, keys.commitment)), toHex(all.slice(0, 64)));
});

test("a node's children differ from it and from each other", async () => {
  const node = new Uint8Array(32).fill(1);
  const [left, right] = [await childNode(node, 0), await childNode(node, 1)];
  assert.equal(new Set([node, left, right].map(toHex)).size, 3);
});
