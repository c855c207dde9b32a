//! The files of ../vectors/session, whoever wrote them, must be read as they say (vectors/README.md).

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fromHex, toHex } from "../src/bytes.ts";
import { KeyTree } from "../src/keys.ts";
import { parseSealedRoot, parseSession } from "../src/manifest.ts";
import { Opener, type OpenerEvent } from "../src/opener.ts";
import { DeviceKey } from "../src/envelope.ts";

interface VectorEpoch {
  epoch: number;
  now: number;
  opening: string;
  fresh?: string;
  base_key?: string;
  commitment?: string;
  objects: { sealed: string; plaintext: string | null }[];
  closing?: string;
}

interface Vector {
  about: string;
  identity: string;
  device: string;
  session: string;
  track: string;
  challenge?: string;
  manifest: string;
  epochs: VectorEpoch[];
  expect: string;
}

const FOLDER = "../vectors/session";
const bytes = (hex: string) => {
  const out = fromHex(hex);
  assert.ok(out, "not hex");
  return out;
};

async function read(vector: Vector): Promise<void> {
  const challenge = vector.challenge === undefined ? undefined : bytes(vector.challenge);
  const opener = new Opener({ session: bytes(vector.session), identity: bytes(vector.identity), devices: [bytes(vector.device)], challenge, track: vector.track });
  const refused: string[] = [];
  let incomplete = 0;
  let complete = 0;
  const note = (events: OpenerEvent[]) => {
    for (const event of events) {
      if ("layer" in event) refused.push(event.layer);
      if (event.kind === "closing") event.verdict === "ok" ? complete++ : incomplete++;
    }
    return events;
  };
  const accepted = note(await opener.handleSession(bytes(vector.manifest))).some(({ kind }) => kind === "session");
  for (const epoch of vector.epochs) {
    const events = note(await opener.handleOpening(epoch.epoch, bytes(epoch.opening), epoch.now));
    const opening = events.find((event) => event.kind === "opening");
    if (epoch.fresh !== undefined) assert.equal(opening?.kind === "opening" && opening.fresh.verdict, epoch.fresh, `epoch ${epoch.epoch}`);
    for (const [i, object] of epoch.objects.entries()) {
      const unit = note(await opener.handleObject(epoch.epoch, bytes(object.sealed), epoch.now)).find((event) => event.kind === "unit");
      const plaintext = unit?.kind === "unit" ? toHex(unit.plaintext) : null;
      assert.equal(plaintext, opening && accepted ? object.plaintext : null, `epoch ${epoch.epoch}, object ${i}`);
    }
    if (epoch.closing !== undefined) note(await opener.handleClosing(epoch.epoch, bytes(epoch.closing), epoch.now));
    note(await opener.handleEnd(epoch.epoch));
  }
  const found = refused[0] ?? (incomplete > 0 ? "incomplete" : "ok");
  assert.equal(found, vector.expect);
  if (vector.expect === "ok") assert.equal(complete, vector.epochs.filter(({ closing }) => closing !== undefined).length);
}

/** The keys of the epochs, where the file gives them. */
async function readKeys(vector: Vector): Promise<void> {
  const manifest = parseSession(bytes(vector.manifest));
  if (!manifest || !vector.epochs.some(({ base_key }) => base_key)) return;
  const device = await DeviceKey.fromSeed(bytes(vector.device));
  const [entry] = await device.entries(manifest);
  const sealed = entry && parseSealedRoot((await device.open(manifest, entry)) ?? new Uint8Array(0));
  assert.ok(sealed, "no root");
  const tree = new KeyTree(sealed.root, manifest.depth, manifest.session);
  for (const { epoch, base_key, commitment } of vector.epochs) {
    const keys = await tree.epochKeys(epoch, vector.track);
    if (base_key !== undefined) assert.equal(toHex(keys.base), base_key);
    if (commitment !== undefined) assert.equal(toHex(keys.commitment), commitment);
  }
}

if (existsSync(FOLDER)) {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith(".json")).sort();
  test("there are known-answer files", () => assert.ok(files.length > 0, `${FOLDER} is empty`));
  for (const file of files) {
    const vector = JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as Vector;
    test(`${file}: ${vector.expect}`, async () => {
      if (!vector.expect.startsWith("session.")) await readKeys(vector);
      await read(vector);
    });
  }
}
