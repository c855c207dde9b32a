//! All cameras at once: a tile each, which is decoded while it is in sight. Choosing one is for whoever made this.

import { columnsOf, neighbour, tileWidth } from "./grid.ts";
import { isAlarm } from "./ghost.ts";
import { clock, type LiveCamera, wallClock } from "./live.ts";
import { Canvas } from "./picture.ts";
import type { Status } from "./status.ts";

const WORDS = { calm: "", warn: "Not live", alarm: "Alarm" };

class Tile {
  readonly camera: LiveCamera;
  readonly canvas: Canvas;
  readonly button: HTMLButtonElement;
  readonly element: HTMLElement;
  inSight = false;
  #said = "";

  constructor(camera: LiveCamera, template: HTMLTemplateElement) {
    this.camera = camera;
    // Imported, not cloned: a canvas of the template's own document gives no context.
    const copy = document.importNode(template.content, true);
    this.element = copy.querySelector("li")!;
    this.button = copy.querySelector("button")!;
    this.canvas = new Canvas(copy.querySelector("canvas")!);
    this.#put("name", camera.title);
  }

  #put(part: string, text: string): void {
    const element = this.element.querySelector(`.tile-${part}`)!;
    if (element.textContent !== text) element.textContent = text;
  }

  /** What a person hears of it if it has changed since, else nothing. */
  update(now: number): { words: string; alarm: boolean } | undefined {
    const { camera, element } = this;
    const said = camera.status(now);
    const { change } = camera;
    const alarm = said.tone === "alarm" || isAlarm(change);
    const { dataset } = element;
    dataset["state"] = said.state;
    dataset["tone"] = said.tone;
    dataset["pictured"] = String(this.canvas.filled && camera.pictured);
    dataset["badge"] = alarm ? "alarm" : change ? "warn" : "none";
    const state = said.state === "live" ? "Live" : WORDS[said.tone];
    this.#put("state", state);
    this.#put("badge", alarm ? "Alarm" : "Devices changed");
    this.#put("title", said.title);
    this.#put("since", sinceWords(said, camera.lastPicture));
    const { latencyMs } = camera.stats.snapshot(now);
    this.#put("latency", said.state === "live" && latencyMs.p50 !== undefined ? `${Math.max(1, Math.round(latencyMs.p50))} ms` : "");
    const words = [said.state === "live" ? "Live" : said.title, change && !alarm ? "The list of devices changed" : "", isAlarm(change) ? "Somebody else may watch" : ""]
      .filter(Boolean).join(". ");
    const label = `${camera.title}: ${words}`;
    if (this.button.getAttribute("aria-label") !== label) this.button.setAttribute("aria-label", label);
    if (words === this.#said) return undefined;
    const first = this.#said === "";
    this.#said = words;
    return first && said.tone === "calm" ? undefined : { words: label, alarm };
  }
}

/** When there was a picture last, where there is none now. */
function sinceWords({ state, tone }: Status, lastPicture: number | undefined): string {
  return state === "live" || tone === "calm" || lastPicture === undefined ? "" : `Last picture at ${clock(lastPicture)}`;
}

export class Overview {
  readonly #grid = find("tiles");
  readonly #tiles: Tile[];
  #shown = false;
  #columns = 1;

  constructor(cameras: readonly LiveCamera[], onChoose: (index: number) => void) {
    const template = find("tile") as HTMLTemplateElement;
    this.#tiles = cameras.map((camera) => new Tile(camera, template));
    this.#grid.replaceChildren(...this.#tiles.map(({ element }) => element));
    for (const [i, { button }] of this.#tiles.entries()) {
      button.addEventListener("click", () => onChoose(i));
      button.addEventListener("keydown", (event) => this.#key(i, event));
    }
    const sight = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.#tiles.find(({ element }) => element === target)!.inSight = isIntersecting;
      this.#decode();
    });
    for (const { element } of this.#tiles) sight.observe(element);
    document.addEventListener("visibilitychange", () => this.#decode());
    new ResizeObserver(() => this.#layOut()).observe(find("overview"));
  }

  canvas(index: number): Canvas {
    return this.#tiles[index]!.canvas;
  }

  /** Shows the tiles. `chosen`: the one to go on from. */
  show(chosen: number | undefined): void {
    this.#shown = true;
    // It will be: it gets the focus.
    if (chosen !== undefined) this.#tiles[chosen]!.inSight = true;
    const { dataset } = document.documentElement;
    dataset["view"] = "overview";
    const count = `${this.#tiles.length} cameras`;
    put("name", count);
    document.title = count;
    this.#layOut();
    this.#decode();
    this.update();
    if (chosen !== undefined) this.#tiles[chosen]!.button.focus();
  }

  hide(): void {
    this.#shown = false;
    this.#decode();
  }

  /** Now and then. */
  update(): void {
    const now = wallClock();
    const heard = this.#tiles.map((tile) => tile.update(now)).filter((said) => said !== undefined);
    if (!this.#shown) return;
    const live = this.#tiles.filter(({ element }) => element.dataset["state"] === "live").length;
    put("overview-words", live === this.#tiles.length ? "All live" : `${live} of ${this.#tiles.length} live`);
    if (heard.length === 0) return;
    // Assertive before the words change, or the change is announced politely.
    find("overview-said").setAttribute("aria-live", heard.some(({ alarm }) => alarm) ? "assertive" : "polite");
    put("overview-said", heard.map(({ words }) => words).join(". "));
  }

  /** Each tile that is in sight has a decoder, no other. Which camera fills the page is not for us to touch. */
  #decode(): void {
    for (const { camera, canvas, inSight } of this.#tiles) {
      const wanted = this.#shown && inSight && document.visibilityState === "visible";
      if (wanted) camera.show(canvas);
      else if (camera.showsOn(canvas)) camera.show(undefined);
    }
  }

  #layOut(): void {
    const { clientWidth: width, clientHeight: height } = find("overview");
    if (width === 0 || height === 0) return;
    const gap = parseFloat(getComputedStyle(this.#grid).columnGap) || 0;
    const count = this.#tiles.length;
    this.#columns = columnsOf(count, width, height, gap);
    this.#grid.style.setProperty("--columns", String(this.#columns));
    this.#grid.style.setProperty("--tile", `${tileWidth(count, this.#columns, width, height, gap)}px`);
  }

  #key(at: number, event: KeyboardEvent): void {
    const to = neighbour(at, event.key, this.#tiles.length, this.#columns);
    if (to === at) return;
    event.preventDefault();
    this.#tiles[to]!.button.focus();
  }
}

function find(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

function put(id: string, text: string): void {
  const element = find(id);
  if (element.textContent !== text) element.textContent = text;
}
