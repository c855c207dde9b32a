import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Camera, mediaObject, Signer } from "../dev/camera.ts";
import { type Bytes, concat } from "../src/bytes.ts";
import { importVerifier, parseClosing, parseOpening, parseSealedRoot, parseSession, verify } from "../src/manifest.ts";
import { codecString, parseMediaObject } from "../src/media.ts";
import { seed } from "./seed.ts";

let camera: Camera;
const records: { name: string; bytes: Bytes; parse: (bytes: Uint8Array) => unknown }[] = [];

before(async () => {
  camera = await Camera.start({ identitySeed: seed(1), sessionSeed: seed(2), session: seed(3, 16), root: seed(4), devices: [seed(5)], start: 1.8e15 });
  const opening = await camera.opening(6, { challenges: [seed(7, 16)] });
  records.push({ name: "session", bytes: camera.manifest, parse: parseSession });
  records.push({ name: "opening", bytes: opening, parse: parseOpening });
  records.push({ name: "closing", bytes: await camera.closing(6, opening, []), parse: parseClosing });
  records.push({ name: "root", bytes: concat(new Uint8Array([1]), seed(1), new Uint8Array([1]), seed(2), seed(3, 64)), parse: parseSealedRoot });
});

test("every record parses whole, and neither cut short anywhere nor with a byte more", () => {
  for (const { name, bytes, parse } of records) {
    assert.ok(parse(bytes), name);
    for (let end = 0; end < bytes.length; end++) assert.equal(parse(bytes.subarray(0, end)), undefined, `${name} of ${end} bytes`);
    assert.equal(parse(concat(bytes, new Uint8Array(1))), undefined, `${name} and a byte`);
  }
});

test("another version or type is malformed", () => {
  for (const { name, bytes, parse } of records) {
    for (const at of name === "root" ? [0, 33] : [0, 1]) {
      const other = bytes.slice();
      other[at]! += 9;
      assert.equal(parse(other), undefined, `${name} byte ${at}`);
    }
  }
});

test("the body of a session manifest is 132 bytes", () => {
  assert.equal(parseSession(camera.manifest)!.body.length, 132);
});

test("a signature holds for its record, key and purpose only", async () => {
  const manifest = parseSession(camera.manifest)!;
  const key = await importVerifier(manifest.publicKey);
  assert.ok(await verify(key, "session manifest", manifest.signed, manifest.signature));
  assert.ok(!(await verify(key, "opening", manifest.signed, manifest.signature)));
  const other = await importVerifier((await Signer.fromSeed(seed(9))).publicKey);
  assert.ok(!(await verify(other, "session manifest", manifest.signed, manifest.signature)));
  const flipped = manifest.signed.slice();
  flipped[40]! ^= 1;
  assert.ok(!(await verify(key, "session manifest", flipped, manifest.signature)));
  assert.ok(!(await verify(undefined, "session manifest", manifest.signed, manifest.signature)));
});

test("limits of the counts hold", async () => {
  const opening = await camera.opening(6);
  const at = 1 + 1 + 16 + 4 + 8 + 8 + 32 + 4 + 32 + 32;
  assert.equal(opening[at], 1);
  for (const count of [0, 9]) {
    const other = opening.slice();
    other[at] = count;
    assert.equal(parseOpening(other), undefined);
  }
  const name = opening.slice();
  name[at + 1] = 17;
  assert.equal(parseOpening(name), undefined);
});

test("a media object parses with its padding, and not with anything else behind the payload", () => {
  const whole = mediaObject(seed(1, 50), { keyframe: true, mediaTime: 90_000, padding: 30 });
  const unit = parseMediaObject(whole)!;
  assert.deepEqual({ ...unit, payload: unit.payload.length }, { codec: "h264", keyframe: true, temporalLayer: 0, width: 640, height: 360, mediaTime: 90_000, sealedAfter: 1500, payload: 50 });
  const dirty = whole.slice();
  dirty[dirty.length - 1] = 1;
  assert.equal(parseMediaObject(dirty), undefined);
  for (let end = 0; end < 22 + 50; end++) assert.equal(parseMediaObject(whole.subarray(0, end)), undefined, `${end}`);
  for (const [at, value] of [[0, 0], [0, 3], [1, 8], [1, 0x80]] as const) {
    const other = whole.slice();
    other[at] = value;
    assert.equal(parseMediaObject(other), undefined);
  }
});

test("the codec string comes from the parameter sets", () => {
  const h264 = new Uint8Array([0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0xda, 0, 0, 0, 1, 0x68, 0xce]);
  assert.equal(codecString(parseMediaObject(mediaObject(h264))!), "avc1.42C01F");
  assert.equal(codecString(parseMediaObject(mediaObject(h264.subarray(9)))!), undefined);
  // Temporal delimiter, then a sequence header as rav1e and libaom write it: profile 0, level index 5.
  const av1 = new Uint8Array([0x12, 0x00, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x2c, 0xcf, 0x7f, 0x13, 0x8b, 0x7c, 0xc4, 0x04]);
  assert.equal(codecString(parseMediaObject(mediaObject(av1, { codec: 2 }))!), "av01.0.05M.08");
});

test("random bytes never break a parser", () => {
  for (let i = 0; i < 3000; i++) {
    const bytes = seed(i, i % 400);
    for (const parse of [parseSession, parseOpening, parseClosing, parseSealedRoot, parseMediaObject]) parse(bytes);
    codecString({ codec: i % 2 ? "h264" : "av1", keyframe: true, temporalLayer: 0, width: 1, height: 1, mediaTime: 0, sealedAfter: 0, payload: bytes });
  }
});
