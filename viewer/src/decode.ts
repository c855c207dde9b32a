//! Access units to pictures, by WebCodecs. Starts at a keyframe, after a gap or an error at the next one.

import { type AccessUnit, codecString, MEDIA_RATE } from "./media.ts";

export interface Picture {
  frame: VideoFrame;
  mediaTime: number;
  /** Capture time says that newer ones are decoded or about to be: need not be drawn. */
  late: boolean;
}

/** Decoder failures in a row, without a picture between them, after which the codec counts as not decodable here. */
const FAILURES = 3;

export class Decoder {
  /** Access units that were not decoded because what they build on was missing. */
  skipped = 0;
  errors = 0;
  /** Codec string that this browser does not decode. */
  undecodable: string | undefined;

  readonly #show: (picture: Picture) => void;
  #decoder: VideoDecoder | undefined;
  #config = "";
  #waiting = true;
  #failures = 0;
  #epoch = -1;
  #position = -1;
  #submitted = 0;

  /** `show` takes over the frame and must close it. */
  constructor(show: (picture: Picture) => void) {
    this.#show = show;
  }

  /** Access units handed in that no picture came out for yet. */
  get backlog(): number {
    return this.#submitted;
  }

  decode(epoch: number, position: number, unit: AccessUnit): void {
    if (epoch < this.#epoch) {
      this.skipped++; // The tail of an epoch that the next one has overtaken.
      return;
    }
    const follows = epoch === this.#epoch && position === this.#position + 1;
    if (!follows && !unit.keyframe) this.#waiting = true;
    this.#epoch = epoch;
    this.#position = position;
    if (this.#waiting && !unit.keyframe) {
      this.skipped++;
      return;
    }
    const decoder = this.#ready(unit);
    if (!decoder) return;
    this.#waiting = false;
    this.#submitted++;
    try {
      const timestamp = Math.round((unit.mediaTime * 1_000_000) / MEDIA_RATE);
      decoder.decode(new EncodedVideoChunk({ type: unit.keyframe ? "key" : "delta", timestamp, data: unit.payload }));
    } catch {
      this.#fail();
    }
  }

  /** Another session follows: nothing of this one is shown any more. */
  reset(): void {
    if (this.#decoder && this.#decoder.state !== "closed") this.#decoder.close();
    this.#decoder = undefined;
    this.#submitted = 0;
    this.#waiting = true;
    this.#config = "";
    this.#epoch = -1;
    this.#failures = 0;
    this.undecodable = undefined;
  }

  /** The decoder to use for a unit, configured anew where a keyframe asks for it. */
  #ready(unit: AccessUnit): VideoDecoder | undefined {
    if (!unit.keyframe) return this.#decoder;
    const codec = codecString(unit);
    if (codec === undefined) {
      if (this.#decoder) return this.#decoder;
      this.skipped++;
      this.#waiting = true;
      return undefined;
    }
    const config = `${codec} ${unit.width}x${unit.height}`;
    if (this.#decoder && config === this.#config) return this.#decoder;
    this.#open(codec, unit);
    this.#config = config;
    return this.#decoder;
  }

  #open(codec: string, unit: AccessUnit): void {
    if (this.#decoder && this.#decoder.state !== "closed") this.#decoder.close();
    this.#submitted = 0;
    const decoder: VideoDecoder = new VideoDecoder({
      output: (frame) => {
        if (decoder !== this.#decoder) return frame.close();
        this.#submitted = Math.max(0, this.#submitted - 1);
        this.#failures = 0;
        this.undecodable = undefined;
        this.#show({ frame, mediaTime: (frame.timestamp * MEDIA_RATE) / 1_000_000, late: this.#submitted > 1 });
      },
      error: (error) => {
        if (decoder !== this.#decoder) return;
        if (error.name === "NotSupportedError") this.undecodable = codec;
        this.#fail(codec);
      },
    });
    this.#decoder = decoder;
    // No `description`: parameter sets come in band (Annex B). Without `optimizeForLatency` Chromium holds back one picture.
    decoder.configure({ codec, codedWidth: unit.width, codedHeight: unit.height, optimizeForLatency: true });
  }

  #fail(codec?: string): void {
    this.errors++;
    this.#failures++;
    if (codec !== undefined && this.#failures >= FAILURES) this.undecodable = codec;
    if (this.#decoder && this.#decoder.state !== "closed") this.#decoder.close();
    this.#decoder = undefined;
    this.#config = "";
    this.#submitted = 0;
    this.#waiting = true;
  }
}
