//! The page of a clip that was handed over: one file, opened from a disk, with the bundle in it and its key in the link.

import { type Clip, openBundle, parseBundle, type Refusal } from "./bundle.ts";
import { type Bytes, fromBase64url, sha256, toHex } from "./bytes.ts";
import { codecString } from "./media.ts";

const WORDS: Record<Refusal, string> = {
  damaged: "This clip is damaged: it was cut off or changed on its way. Ask for it again.",
  forged: "This clip was changed after it was made: its signature does not hold. Ask for it again.",
  uncertified: "This clip is not from the camera that it says it is from.",
  suite: "This clip is sealed in a way that browsers cannot open. Open it with the doorframe program.",
  "other key": "This key is not the key of this clip. Copy it whole, up to its last character.",
  grant: "The keys in this clip are damaged. Ask for it again.",
};

const find = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;

function say(words: string, tone: "calm" | "good" | "bad" = "calm"): void {
  find("words").textContent = words;
  find("words").dataset["tone"] = tone;
  report({ words, tone });
}

const told: Record<string, unknown> = {};

/** What tests read. */
function report(news: Record<string, unknown>): void {
  Object.assign(told, news);
  (globalThis as { doorframe?: unknown }).doorframe = told;
}

function fromBase64(text: string): Bytes | undefined {
  try {
    return Uint8Array.from(atob(text.trim()), (char) => char.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/** From the characters, or a link that ends in `#k=` and them. */
function keyOf(text: string): Bytes | undefined {
  const key = fromBase64url(text.trim().replace(/^.*#k=/, ""));
  return key?.length === 32 ? key : undefined;
}

async function start(): Promise<void> {
  if (!globalThis.crypto?.subtle) return say("This browser does not let a file from a disk decrypt. Open it with the doorframe program.", "bad");
  if (typeof VideoDecoder === "undefined") return say("This browser cannot decode video (WebCodecs). Use a newer one, or the doorframe program.", "bad");
  const bytes = fromBase64(find("bundle").textContent ?? "");
  const bundle = bytes && bytes.length > 0 ? await parseBundle(bytes) : "damaged";
  if (typeof bundle === "string") return say(WORDS[bundle], "bad");
  const print = async (key: Bytes) => toHex((await sha256(key)).slice(0, 8)).replace(/(.{4})(?=.)/g, "$1-");
  find("whose").textContent = `Camera ${await print(bundle.camera)}, handed over by ${await print(bundle.maker)}. Compare these with what the owner tells you.`;

  const tryKey = async (text: string) => {
    const key = keyOf(text);
    if (!key) {
      ask("This is not the key of a clip: it has 43 characters, and stands behind #k= in the link.", "bad");
      return;
    }
    say("Opening…");
    const clip = await openBundle(bundle, key);
    if (typeof clip === "string") return clip === "other key" ? ask(WORDS[clip], "bad") : say(WORDS[clip], "bad");
    find("ask").hidden = true;
    if (clip.faults.length === 0) say("All of it was signed by the camera, unchanged and whole.", "good");
    else say(`Not all that the camera sealed is here: ${clip.faults.join("; ")}.`, "bad");
    await show(clip);
  };
  find<HTMLFormElement>("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    void tryKey(find<HTMLInputElement>("key").value);
  });
  const fragment = /^#k=(.+)$/.exec(location.hash)?.[1];
  if (fragment === undefined) return ask("This clip is sealed. Enter the key that you were given for it.", "calm");
  await tryKey(decodeURIComponent(fragment));
}

function ask(words: string, tone: "calm" | "bad"): void {
  find("ask").hidden = false;
  say(words, tone);
}

/** Decodes from a keyframe to a place, and plays on from there. */
async function show(clip: Clip): Promise<void> {
  const { units } = clip;
  const [first] = units;
  if (!first) return say("There is no picture in this clip.", "bad");
  const canvas = find<HTMLCanvasElement>("picture");
  const context = canvas.getContext("2d", { alpha: false })!;
  const seek = find<HTMLInputElement>("seek");
  const play = find<HTMLButtonElement>("play");
  find("player").hidden = false;
  seek.max = String(units.length - 1);
  let decoder: VideoDecoder | undefined;
  let config = "";
  let fed = 0; // The next unit to be decoded.
  let wanted = 0; // The unit to be shown.
  let shown = -1;
  let drawn = 0;
  let playing = true;
  let origin = { at: performance.now(), wall: first.wall };

  const open = (codec: string, width: number, height: number) => {
    const own: VideoDecoder = new VideoDecoder({
      output: (frame) => {
        // Its place is its time stamp. What is on the way to the place wanted is not drawn.
        if (own === decoder && (frame.timestamp === wanted || frame.timestamp > shown)) {
          if (frame.timestamp >= wanted || playing) {
            if (canvas.width !== frame.displayWidth || canvas.height !== frame.displayHeight) {
              canvas.width = frame.displayWidth;
              canvas.height = frame.displayHeight;
            }
            context.drawImage(frame, 0, 0);
            drawn++;
          }
          shown = frame.timestamp;
          report({ drawn, shown, width: canvas.width, height: canvas.height, units: units.length });
        }
        frame.close();
      },
      error: (error) => {
        if (own === decoder) say(`This browser does not decode this clip (${error.message}). Open it with the doorframe program.`, "bad");
      },
    });
    own.configure({ codec, codedWidth: width, codedHeight: height, optimizeForLatency: true });
    decoder = own;
  };

  const feed = (to: number) => {
    for (; fed <= to && fed < units.length; fed++) {
      const { unit } = units[fed]!;
      if (unit.keyframe) {
        const codec = codecString(unit);
        const next = `${codec} ${unit.width}x${unit.height}`;
        if (codec !== undefined && (next !== config || !decoder || decoder.state === "closed")) {
          if (decoder && decoder.state !== "closed") void decoder.flush().catch(() => {});
          open(codec, unit.width, unit.height);
          config = next;
        }
      }
      if (!decoder || decoder.state !== "configured") continue;
      try {
        decoder.decode(new EncodedVideoChunk({ type: unit.keyframe ? "key" : "delta", timestamp: fed, data: unit.payload }));
      } catch {
        // A delta after a hole: the next keyframe goes on.
      }
    }
  };

  const go = (to: number) => {
    let keyframe = to;
    while (keyframe > 0 && !units[keyframe]!.unit.keyframe) keyframe--;
    if (decoder && decoder.state !== "closed") decoder.close();
    decoder = undefined;
    config = "";
    fed = keyframe;
    shown = -1;
    wanted = to;
    origin = { at: performance.now(), wall: units[to]!.wall };
    feed(to);
    if (decoder) void (decoder as VideoDecoder).flush().catch(() => {});
  };

  const tell = () => {
    const at = units[Math.min(wanted, units.length - 1)]!;
    seek.value = String(wanted);
    find("clock").textContent = new Date(at.wall / 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
  };

  const tick = () => {
    if (playing) {
      const wall = origin.wall + (performance.now() - origin.at) * 1000;
      let next = wanted;
      while (next + 1 < units.length && units[next + 1]!.wall <= wall) next++;
      // A gap is passed over.
      if (next === wanted && next + 1 < units.length && units[next + 1]!.wall - wall > 3_000_000) origin = { at: performance.now(), wall: units[next + 1]!.wall };
      wanted = next;
      feed(wanted);
      tell();
      if (wanted === units.length - 1) pause();
    }
    requestAnimationFrame(tick);
  };

  const pause = () => {
    playing = false;
    play.textContent = "Play";
    // The last pictures may still be in the decoder.
    if (decoder?.state === "configured") void decoder.flush().then(() => { config = ""; }).catch(() => {});
    report({ playing });
  };

  play.addEventListener("click", () => {
    if (playing) return pause();
    playing = true;
    play.textContent = "Pause";
    go(wanted >= units.length - 1 ? 0 : wanted);
    report({ playing });
  });
  seek.addEventListener("input", () => {
    go(Number(seek.value));
    tell();
  });
  report({ playing, span: [first.wall, units.at(-1)!.wall] });
  requestAnimationFrame(tick);
}

void start().catch(() => say("This clip could not be opened here. Open it with the doorframe program.", "bad"));
