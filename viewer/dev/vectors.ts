//! Writes vectors/session/viewer-*.json with the test camera: the same bytes at every run.

import { mkdirSync, writeFileSync } from "node:fs";
import { type Bytes, sha256, toHex } from "../src/bytes.ts";
import { seed } from "../test/seed.ts";
import { Camera, type CameraOptions, mediaObject } from "./camera.ts";

const START = 1_795_000_000_000_000;
const FOLDER = "../vectors/session";
const base: CameraOptions = {
  identitySeed: seed(1), sessionSeed: seed(2), session: seed(3, 16), root: seed(4), devices: [seed(8), seed(5)], start: START, ekm: seed(6, 64),
};

interface Change {
  camera?: Partial<CameraOptions>;
  challenge?: Bytes;
  /** Changes what is delivered; the closing is over what was sealed. */
  objects?: (sealed: Bytes[]) => { sealed: Bytes; refused?: boolean }[];
}

async function write(name: string, about: string, expect: string, change: Change = {}): Promise<void> {
  const camera = await Camera.start({ ...base, ...change.camera });
  const pinned = await Camera.start(base);
  let before: Bytes | undefined;
  const epochs = [];
  for (const epoch of [5, 6, 300]) {
    // 300 does not follow 6: its closing before is of an epoch that is not in the file.
    const closingBefore = epoch === 300 ? seed(300) : before ? await sha256(before) : new Uint8Array(32);
    const opening = await camera.opening(epoch, { closingBefore, challenges: epoch === 6 && change.challenge ? [seed(70, 16), change.challenge] : [] });
    const plaintexts = Array.from({ length: 10 }, (_, i) =>
      mediaObject(seed(1000 * epoch + i, 40 + 7 * i), { keyframe: i === 0, codec: epoch === 300 ? 2 : 1, mediaTime: epoch * 180_000 + 3_000 * i, padding: i % 3 }));
    const sealed: Bytes[] = [];
    for (const [i, plaintext] of plaintexts.entries()) sealed.push(await camera.seal(epoch, i, plaintext));
    const closing = await camera.closing(epoch, opening, sealed);
    before = closing;
    const delivered: { sealed: Bytes; refused?: boolean }[] = change.objects?.(sealed) ?? sealed.map((sealed) => ({ sealed }));
    const keys = await camera.tree.epochKeys(epoch, "video");
    epochs.push({
      epoch, now: START + epoch * 2_000_000 + 40_000, opening: toHex(opening),
      fresh: change.challenge && epoch > 5 ? "proved" : "claimed", base_key: toHex(keys.base), commitment: toHex(keys.commitment),
      objects: delivered.map((object) => ({
        sealed: toHex(object.sealed),
        plaintext: object.refused ? null : toHex(plaintexts[sealed.indexOf(object.sealed)]!),
      })),
      closing: toHex(closing),
    });
  }
  const refused = expect.startsWith("session.");
  const vector = {
    about, identity: toHex(pinned.identity.publicKey), device: toHex(seed(5)), session: toHex(base.session), track: "video",
    ...(change.challenge ? { challenge: toHex(change.challenge) } : {}), manifest: toHex(camera.manifest), epochs: refused ? [] : epochs, expect,
  };
  writeFileSync(`${FOLDER}/viewer-${name}.json`, `${JSON.stringify(vector, null, 1)}\n`);
}

const flipped = (bytes: Bytes) => bytes.map((byte, i) => (i === 12 ? byte ^ 1 : byte)) as Bytes;

mkdirSync(FOLDER, { recursive: true });
await write("ok", "Three epochs, one of them far on, of H.264 and AV1 objects with padding.", "ok");
await write("proved", "The second opening carries the viewer's challenge.", "ok", { challenge: seed(71, 16) });
await write("incomplete", "The last two objects of each epoch never come.", "incomplete", { objects: (all) => all.slice(0, -2).map((sealed) => ({ sealed })) });
await write("flipped", "One bit of one object is flipped on the way.", "object.tag", {
  objects: (all) => all.map((sealed, i) => (i === 4 ? { sealed: flipped(sealed), refused: true } : { sealed })),
});
await write("replay", "An object comes twice.", "object.replay", { objects: (all) => [...all.map((sealed) => ({ sealed })), { sealed: all[3]!, refused: true }] });
await write("identity", "A session of another camera under this camera's name.", "session.identity", { camera: { identitySeed: seed(9) } });
await write("recipient", "A session sealed to other devices.", "session.recipient", { camera: { devices: [seed(8)] } });
await write("suite", "A session under ChaCha20-Poly1305, which a browser lacks.", "session.suite", { camera: { suite: 0xf001 } });
