//! The page: puts words, numbers and buttons where they belong. Decides nothing.

import type { Status } from "./status.ts";

export interface Details {
  fingerprint: string;
  session: string;
  epoch: number;
  deviceListVersion: number | undefined;
  recipients: number | undefined;
  fresh: "proved" | "claimed" | "stale" | "recorded" | undefined;
}

export interface Figures {
  latencyMs: number | undefined;
  p99: number | undefined;
  fps: number;
  kbps: number;
  opened: number;
  lost: number;
  dropped: number;
  drawn: number;
  size: string;
}

const LOCK_WORDS = { opening: "Not verified yet", locked: "End-to-end encrypted", alarm: "Do not trust this", ghost: "Somebody else may watch" };
const FRESH_WORDS = {
  proved: "Live, proved: the camera signed a number that this page drew",
  claimed: "Live by the camera's clock, which agrees with this device's",
  stale: "Not live: the camera's clock is too far from this device's",
  recorded: "No: this was recorded. Signatures, number and order of its pictures were checked",
};

export class Page {
  readonly canvas = find("picture") as HTMLCanvasElement;
  readonly #root = document.documentElement;
  readonly #notice = find("notice");

  constructor(onSnapshot: () => void = () => {}) {
    find("snapshot").addEventListener("click", onSnapshot);
    const full = find("fullscreen");
    if (!document.fullscreenEnabled) full.hidden = true;
    full.addEventListener("click", () => toggleFullscreen());
    find("stage").addEventListener("dblclick", () => toggleFullscreen());
    document.addEventListener("fullscreenchange", () => {
      full.setAttribute("aria-label", document.fullscreenElement ? "Leave full screen" : "Full screen");
    });
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement || this.#root.dataset["view"] !== "camera") return;
      if (event.key === "f") toggleFullscreen();
      if (event.key === "s") onSnapshot();
    });
  }

  /** One camera fills the page. */
  camera(title: string): void {
    this.#root.dataset["view"] = "camera";
    put("name", title);
    document.title = title;
    this.canvas.setAttribute("aria-label", `Picture from ${title}`);
  }

  status(status: Status, pictured: boolean): void {
    const { dataset } = this.#root;
    dataset["state"] = status.state;
    dataset["tone"] = status.tone;
    dataset["lock"] = status.lock;
    dataset["pictured"] = String(pictured);
    const lock = status.lock === "opening" && pictured ? "Not live" : LOCK_WORDS[status.lock];
    put("lock-words", lock);
    put("about-lock", lock);
    const recorded = status.state === "recorded";
    put("hint", recorded ? "" : (status.hint ?? ""));
    put("note", recorded ? (status.hint ?? "") : "");
    // Assertive before the words change, or the change is announced politely.
    this.#notice.setAttribute("aria-live", status.tone === "alarm" ? "assertive" : "polite");
    put("notice-title", status.title);
    put("notice-text", status.text);
    this.#notice.hidden = status.title === "";
    (find("snapshot") as HTMLButtonElement).disabled = !pictured;
  }

  /** What happened last before the camera; nothing: empty. */
  happened(words: string): void {
    put("happened", words);
  }

  details(details: Details): void {
    put("about-identity", details.fingerprint);
    put("about-session", details.session ? details.session.slice(0, 8) : "–");
    put("about-epoch", details.epoch < 0 ? "–" : String(details.epoch));
    put("about-devices", devicesWords(details));
    put("about-fresh", details.fresh ? FRESH_WORDS[details.fresh] : "–");
    put("epoch", details.epoch < 0 ? "–" : String(details.epoch));
    put("session", details.session || "–");
  }

  figures(figures: Figures): void {
    const { latencyMs } = figures;
    put("latency", latencyMs === undefined ? "" : milliseconds(latencyMs));
    put("fps", `${Math.round(figures.fps)} fps`);
    put("rate", rate(figures.kbps));
    put("latency-p50", latencyMs === undefined ? "–" : milliseconds(latencyMs));
    put("latency-p99", figures.p99 === undefined ? "–" : milliseconds(figures.p99));
    put("size", figures.size || "–");
    put("drawn", count(figures.drawn));
    put("opened", count(figures.opened));
    put("lost", count(figures.lost));
    put("dropped", count(figures.dropped));
  }
}

function devicesWords({ deviceListVersion: version, recipients }: Details): string {
  if (version === undefined || recipients === undefined) return "–";
  const count = recipients === 1 ? "1 device" : `${recipients} devices`;
  return version === 0 ? `${count}, without a list` : `${count}, by list version ${version}`;
}

function find(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

/** Only where it differs: a live region speaks up at every change. */
function put(id: string, text: string): void {
  const element = find(id);
  if (element.textContent !== text) element.textContent = text;
}

function toggleFullscreen(): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else if (document.fullscreenEnabled) void find("stage").requestFullscreen().catch(() => {});
}

function count(value: number): string {
  return value.toLocaleString("en");
}

function milliseconds(value: number): string {
  return value >= 1_000 ? `${(value / 1_000).toFixed(1)} s` : `${Math.max(1, Math.round(value))} ms`;
}

function rate(kbps: number): string {
  return kbps >= 1_000 ? `${(kbps / 1_000).toFixed(1)} Mbit/s` : `${Math.round(kbps)} kbit/s`;
}
