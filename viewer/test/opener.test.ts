import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Camera, type CameraOptions, mediaObject, Signer } from "../dev/camera.ts";
import { type Bytes, concat, sha256 } from "../src/bytes.ts";
import { Opener, type OpenerEvent, type OpenerOptions } from "../src/opener.ts";
import { seed } from "./seed.ts";

const START = 1_795_000_000_000_000;
const SESSION = seed(3, 16);
const base: CameraOptions = { identitySeed: seed(1), sessionSeed: seed(2), session: SESSION, root: seed(4), devices: [seed(8), seed(5)], start: START };
let camera: Camera;

before(async () => { camera = await Camera.start(base); });

/** Wall clock a moment after an epoch starts, µs. */
const at = (epoch: number) => START + epoch * 2_000_000 + 40_000;

function viewer(options: Partial<OpenerOptions> = {}): Opener {
  return new Opener({ session: SESSION, identity: camera.identity.publicKey, devices: [seed(5)], ...options });
}

async function started(options: Partial<OpenerOptions> = {}): Promise<Opener> {
  const opener = viewer(options);
  assert.deepEqual((await opener.handleSession(camera.manifest)).map(({ kind }) => kind), ["session"]);
  return opener;
}

interface Epoch { opening: Bytes; objects: Bytes[]; closing: Bytes; plaintexts: Bytes[] }

async function epoch(number: number, count: number, before?: Bytes): Promise<Epoch> {
  const opening = await camera.opening(number, before ? { closingBefore: await sha256(before) } : {});
  const plaintexts = Array.from({ length: count }, (_, i) => mediaObject(seed(100 * number + i, 60), { keyframe: i === 0, mediaTime: number * 180_000 + i * 3000 }));
  const objects: Bytes[] = [];
  for (const [i, plaintext] of plaintexts.entries()) objects.push(await camera.seal(number, i, plaintext));
  return { opening, objects, closing: await camera.closing(number, opening, objects), plaintexts };
}

const kinds = (events: OpenerEvent[]) => events.map((event) => ("layer" in event ? `${event.kind} ${event.layer}` : event.kind));

test("a session opens its objects in order, and the closings agree", async () => {
  const opener = await started();
  let last: Bytes | undefined;
  for (const number of [5, 6, 7]) {
    const { opening, objects, closing, plaintexts } = await epoch(number, 12, last);
    const [event] = await opener.handleOpening(number, opening, at(number));
    assert.ok(event?.kind === "opening" && event.fresh.verdict === "claimed" && event.anchor.mediaTime === number * 180_000);
    for (const [i, object] of objects.entries()) {
      const [unit] = await opener.handleObject(number, object, at(number));
      assert.ok(unit?.kind === "unit" && unit.position === i && unit.unit.keyframe === (i === 0));
      assert.deepEqual(unit.plaintext, plaintexts[i]);
    }
    assert.deepEqual(await opener.handleClosing(number, closing, at(number)), [{ kind: "closing", epoch: number, verdict: "ok", objects: 12, missing: 0 }]);
    last = closing;
  }
  assert.equal(opener.opened, 36);
  assert.deepEqual(opener.dropped, {});
});

test("whatever comes first waits: objects for the opening, everything for the session manifest", async () => {
  const { opening, objects, closing } = await epoch(5, 4);
  const opener = viewer();
  for (const object of objects) assert.deepEqual(await opener.handleObject(5, object, at(5)), []);
  assert.deepEqual(await opener.handleClosing(5, closing, at(5)), []);
  assert.deepEqual(await opener.handleOpening(5, opening, at(5)), []);
  assert.deepEqual(kinds(await opener.handleSession(camera.manifest)), ["session", "opening", "unit", "unit", "unit", "unit", "closing"]);
});

test("what waits is bounded", async () => {
  const opener = viewer();
  for (let i = 0; i < 12; i++) await opener.handleObject(5, new Uint8Array(1 << 20), 0);
  assert.equal(opener.dropped["object.early"], 4);
});

test("events come out in the order bytes went in, without waiting in between", async () => {
  const { opening, objects } = await epoch(5, 30);
  const opener = viewer();
  const all = await Promise.all([opener.handleSession(camera.manifest), opener.handleOpening(5, opening, at(5)), ...objects.map((object) => opener.handleObject(5, object, at(5)))]);
  assert.deepEqual(all.flat().flatMap((event) => (event.kind === "unit" ? [event.position] : [])), objects.map((_, i) => i));
  assert.equal(opener.waiting, 0);
});

test("each check of a session manifest refuses what it is for", async () => {
  const flip = (bytes: Bytes, at: number) => { const other = bytes.slice(); other[at]! ^= 1; return other; };
  const chacha = await Camera.start({ ...base, suite: 0xf001 });
  const stranger = await Camera.start({ ...base, devices: [seed(66)] });
  const impostor = await Camera.start({ ...base, identitySeed: seed(77) });
  const cases: [string, Bytes, Partial<OpenerOptions>][] = [
    ["session.malformed", camera.manifest.subarray(0, 200), {}],
    ["session.suite", chacha.manifest, {}],
    ["session.id", camera.manifest, { session: seed(99, 16) }],
    ["session.signature", flip(camera.manifest, 70), {}],
    ["session.signature", flip(camera.manifest, camera.manifest.length - 1), {}],
    ["session.recipient", stranger.manifest, {}],
    ["session.recipient", camera.manifest, { devices: [seed(6)] }],
    ["session.identity", impostor.manifest, {}],
  ];
  for (const [layer, manifest, options] of cases) {
    const opener = viewer(options);
    assert.deepEqual(kinds(await opener.handleSession(manifest)), [`refused ${layer}`]);
    assert.deepEqual(opener.dropped, { [layer]: 1 });
    // A refusal is not for ever: the right one may still come.
    if (options.session === undefined && options.devices === undefined) assert.deepEqual(kinds(await opener.handleSession(camera.manifest)), ["session"]);
  }
});

test("a session from before the device changed its key opens with the key from before", async () => {
  const opener = viewer({ devices: [seed(6), seed(7), seed(5)] });
  assert.deepEqual(kinds(await opener.handleSession(camera.manifest)), ["session"]);
  const { opening, objects } = await epoch(0, 1);
  assert.deepEqual(kinds(await opener.handleOpening(0, opening, at(0))), ["opening"]);
  assert.deepEqual(kinds(await opener.handleObject(0, objects[0]!, at(0))), ["unit"]);
});

test("an entry that does not open, and a certificate for another body, are refused", async () => {
  // Both need a session signature that holds, so the manifest is taken apart and signed anew by the same session key.
  const signer = await Signer.fromSeed(seed(2));
  const again = async (signed: Bytes) => concat(signed, await signer.sign("session manifest", signed));
  const signed = camera.manifest.slice(0, -64);
  const ciphertext = signed.slice();
  ciphertext[ciphertext.length - 1]! ^= 1;
  assert.deepEqual(kinds(await viewer().handleSession(await again(ciphertext))), ["refused session.hpke"]);
  const body = signed.slice();
  body[70]! ^= 1; // start of the session: aad of the entry, body of the certificate
  assert.deepEqual(kinds(await viewer().handleSession(await again(body))), ["refused session.hpke"]);

  assert.deepEqual(kinds(await viewer().handleSession(await forgedCertificate())), ["refused session.certificate"]);
});

/** A session that names the pinned identity without having its key. */
async function forgedCertificate(): Promise<Bytes> {
  const original = Signer.prototype.sign;
  Signer.prototype.sign = async function (purpose, signed) {
    const signature = await original.call(this, purpose, signed);
    if (purpose === "session certificate") signature[3]! ^= 1;
    return signature;
  };
  try {
    return (await Camera.start(base)).manifest;
  } finally {
    Signer.prototype.sign = original;
  }
}

test("each check of an opening drops what it is for, and nothing of the epoch opens after it", async () => {
  const good = await epoch(5, 1);
  const other = await Camera.start({ ...base, session: seed(33, 16) });
  const forger = await Camera.start({ ...base, sessionSeed: seed(34) });
  const cases: [string, number, Bytes][] = [
    ["opening.malformed", 5, good.opening.subarray(1)],
    ["opening.session", 5, await other.opening(5)],
    ["opening.epoch", 6, good.opening],
    ["opening.epoch", 70_000, await camera.opening(70_000, { commitment: seed(1) })],
    ["opening.signature", 5, await forger.opening(5)],
    ["opening.commitment", 5, await camera.opening(5, { commitment: seed(1) })],
    ["opening.track", 5, await camera.opening(5, { track: "audio" })],
  ];
  for (const [layer, number, opening] of cases) {
    const opener = await started();
    assert.deepEqual(kinds(await opener.handleOpening(number, opening, at(5))), [`dropped ${layer}`]);
    assert.deepEqual(await opener.handleObject(5, good.objects[0]!, at(5)), []);
    assert.equal(opener.opened, 0);
  }
});

test("objects that are flipped, cut, moved, repeated or malformed inside are counted, and the others open", async () => {
  const opener = await started();
  const { opening, objects } = await epoch(5, 20);
  const moved = await camera.seal(6, 3, mediaObject(seed(1)));
  const wrongInside = await camera.seal(5, 20, new Uint8Array(10));
  await opener.handleOpening(5, opening, at(5));
  const first = objects[0]!;
  for (let i = 0; i < first.length; i++) {
    const flipped = first.slice();
    flipped[i]! ^= 0x10;
    assert.ok((await opener.handleObject(5, flipped, at(5))).every(({ kind }) => kind === "dropped"), `byte ${i}`);
  }
  for (let end = 0; end < first.length; end++) await opener.handleObject(5, first.subarray(0, end), at(5));
  assert.equal(opener.opened, 0);
  for (const object of objects) assert.deepEqual(kinds(await opener.handleObject(5, object, at(5))), ["unit"]);
  assert.deepEqual(kinds(await opener.handleObject(5, objects[7]!, at(5))), ["dropped object.replay"]);
  assert.deepEqual(kinds(await opener.handleObject(5, moved, at(5))), ["dropped object.kid"]);
  assert.deepEqual(kinds(await opener.handleObject(5, wrongInside, at(5))), ["dropped object.plaintext"]);
  assert.equal(opener.alarms, 0);
});

test("an object of another track does not open here", async () => {
  const opener = await started();
  await opener.handleOpening(5, await camera.opening(5), at(5));
  assert.deepEqual(kinds(await opener.handleObject(5, await camera.seal(5, 0, mediaObject(seed(1)), 5, "audio"), at(5))), ["dropped object.tag"]);
});

test("what an epoch lost is counted once its group has ended, and comes back if the rest arrives after all", async () => {
  const opener = await started();
  await opener.handleOpening(4, await camera.opening(4), at(4));
  const { opening, objects, closing } = await epoch(5, 10);
  await opener.handleOpening(5, opening, at(5));
  for (const object of objects.slice(0, 7)) await opener.handleObject(5, object, at(5));
  assert.deepEqual(await opener.handleClosing(5, closing, at(5)), []);
  assert.deepEqual(await opener.handleEnd(5), [{ kind: "closing", epoch: 5, verdict: "incomplete", objects: 10, missing: 3 }]);
  assert.equal(opener.lost, 3);
  for (const object of objects.slice(7)) await opener.handleObject(5, object, at(5));
  assert.equal(opener.lost, 0);
  assert.equal(opener.alarms, 0);
});

test("what came before the viewer joined is not lost", async () => {
  const opener = await started();
  const { opening, objects, closing } = await epoch(5, 10);
  await opener.handleOpening(5, opening, at(5));
  await opener.handleObject(5, objects[9]!, at(5));
  await opener.handleClosing(5, closing, at(5));
  assert.deepEqual(kinds(await opener.handleEnd(5)), ["closing"]);
  assert.equal(opener.lost, 0);
});

test("an epoch whose group never came is lost two epochs later", async () => {
  const opener = await started();
  await opener.handleOpening(4, await camera.opening(4), at(4));
  const five = await epoch(5, 10);
  const six = await epoch(6, 1, five.closing);
  await opener.handleOpening(5, five.opening, at(5));
  await opener.handleClosing(5, five.closing, at(5));
  await opener.handleOpening(6, six.opening, at(6));
  assert.equal(opener.lost, 0);
  const events = await opener.handleOpening(7, await camera.opening(7), at(7));
  assert.deepEqual(kinds(events), ["opening", "closing"]);
  assert.equal(opener.lost, 10);
});

test("a closing that does not match what came is an alarm", async () => {
  const { opening, objects } = await epoch(5, 4);
  const other = await camera.opening(5, { wallClock: 1 });
  const swapped = await camera.seal(5, 2, mediaObject(seed(1)));
  const cases: [string, Bytes, Bytes[]][] = [
    ["closing.chain", await camera.closing(5, opening, [objects[0]!, objects[1]!, swapped, objects[3]!]), objects],
    ["closing.excess", await camera.closing(5, opening, objects.slice(0, 3)), objects],
    ["closing.excess", await camera.closing(5, opening, objects.slice(0, 3)), [objects[3]!]],
    ["closing.opening", await camera.closing(5, other, objects), objects],
    ["closing.track", await camera.closing(5, opening, objects, "audio"), objects],
  ];
  for (const [layer, closing, delivered] of cases) {
    for (const late of [true, false]) {
      const opener = await started();
      await opener.handleOpening(5, opening, at(5));
      const events: OpenerEvent[] = [];
      if (!late) events.push(...(await opener.handleClosing(5, closing, at(5))));
      for (const object of delivered) events.push(...(await opener.handleObject(5, object, at(5))));
      if (late) events.push(...(await opener.handleClosing(5, closing, at(5))));
      const alarms = events.filter(({ kind }) => kind === "alarm");
      assert.deepEqual(kinds(alarms), [`alarm ${layer}`], `${layer}, ${late ? "late" : "early"}`);
      assert.equal(opener.alarms, 1);
    }
  }
});

test("a forged closing is dropped without an alarm", async () => {
  const opener = await started();
  const { opening, objects, closing } = await epoch(5, 2);
  await opener.handleOpening(5, opening, at(5));
  for (const object of objects) await opener.handleObject(5, object, at(5));
  for (let i = 0; i < closing.length; i += 5) {
    const forged = closing.slice();
    forged[i]! ^= 1;
    assert.ok((await opener.handleClosing(5, forged, at(5))).every(({ kind }) => kind === "dropped"));
  }
  assert.equal(opener.alarms, 0);
  assert.deepEqual(kinds(await opener.handleClosing(5, closing, at(5))), ["closing"]);
});

test("two different openings or closings of one epoch are an alarm, the same twice is not", async () => {
  const opener = await started();
  const { opening, objects, closing } = await epoch(5, 1);
  await opener.handleOpening(5, opening, at(5));
  await opener.handleObject(5, objects[0]!, at(5));
  await opener.handleClosing(5, closing, at(5));
  assert.deepEqual(await opener.handleOpening(5, opening, at(5)), []);
  assert.deepEqual(await opener.handleClosing(5, closing, at(5)), []);
  assert.deepEqual(kinds(await opener.handleOpening(5, await camera.opening(5, { wallClock: 7 }), at(5))), ["alarm opening.twice"]);
  assert.deepEqual(kinds(await opener.handleClosing(5, await camera.closing(5, opening, [objects[0]!, objects[0]!]), at(5))), ["alarm closing.twice"]);
});

test("an opening that does not follow the closing before it is an alarm, whichever comes first", async () => {
  const five = await epoch(5, 0);
  const wrong = await camera.opening(6, { closingBefore: seed(1) });
  for (const closingFirst of [true, false]) {
    const opener = await started();
    await opener.handleOpening(5, five.opening, at(5));
    const closing = () => opener.handleClosing(5, five.closing, at(6));
    const opening = () => opener.handleOpening(6, wrong, at(6));
    const events = closingFirst ? [await closing(), await opening()] : [await opening(), await closing()];
    assert.deepEqual(kinds(events.flat()).filter((kind) => kind.startsWith("alarm")), ["alarm opening.chain"]);
  }
});

test("epochs far back are not opened any more", async () => {
  const opener = await started();
  const five = await epoch(5, 1);
  await opener.handleOpening(20, await camera.opening(20), at(20));
  assert.deepEqual(kinds(await opener.handleOpening(5, five.opening, at(5))), ["dropped opening.epoch"]);
  assert.deepEqual(kinds(await opener.handleObject(5, five.objects[0]!, at(5))), ["dropped object.old"]);
});

test("an opening is fresh within ten seconds, or by the viewer's own challenge", async () => {
  const challenge = seed(50, 16);
  const verdict = async (opener: Opener, number: number, now: number, challenges: Bytes[] = []) => {
    const events = await opener.handleOpening(number, await camera.opening(number, { challenges }), now);
    const opening = events.find((event) => event.kind === "opening");
    return opening?.kind === "opening" ? opening.fresh.verdict : undefined;
  };
  const start = (number: number) => START + number * 2_000_000;
  for (const [off, expected] of [[-10_000_000, "claimed"], [10_000_000, "claimed"], [-10_000_001, "stale"], [10_000_001, "stale"]] as const) {
    assert.equal(await verdict(await started(), 5, start(5) + off), expected);
  }
  const hour = 3_600_000_000;
  const opener = await started({ challenge });
  assert.equal(await verdict(opener, 5, start(5) + hour), "stale");
  assert.equal(await verdict(opener, 6, start(6) + hour, [seed(1, 16)]), "stale");
  assert.equal(await verdict(opener, 7, start(7) + hour, [seed(1, 16), challenge]), "proved");
  assert.equal(await verdict(opener, 8, start(8) + hour), "proved");
  // A clock known to be an hour off is no leave to be late.
  assert.equal(await verdict(opener, 9, start(9) + hour + 20_000_000), "stale");
});
