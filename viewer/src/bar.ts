//! The bar under the picture and its buttons: shows what {@link Recordings} knows, and hands on what a person does. Decides nothing.

import { SPEEDS } from "./player.ts";
import type { Recordings } from "./recordings.ts";
import { dayOf, positionOf, type Span, stepOf, ticksOf, timeAt, ZOOMS } from "./timeline.ts";

/** At least so far apart stand the times below the bar, in CSS pixels. */
const TICK_PX = 64;
/** Marks of one kind stand at least so far apart. */
const MARK_PX = 7;
/** An epoch, and its way into the store. */
const UNSTORED_MS = 4_000;
/** So close to its right end a finger means the end. */
const EDGE_PX = 6;

const TIME: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const DATE: Intl.DateTimeFormatOptions = { weekday: "short", day: "numeric", month: "short" };

export function timeWords(ms: number): string {
  return new Date(ms).toLocaleTimeString([], TIME);
}

function dayWords(ms: number, now: number): string {
  const day = dayOf(ms);
  if (day === dayOf(now)) return "Today";
  if (day === dayOf(dayOf(now) - 1)) return "Yesterday";
  return new Date(ms).toLocaleDateString([], DATE);
}

export class Bar {
  readonly #tape = find("tape");
  readonly #bar = find("bar");
  readonly #now: () => number;
  readonly #calendar: Calendar;
  #recordings: Recordings | undefined;
  #drawn = "";
  #held: { id: number; at: number; edge: boolean } | undefined;

  constructor(now: () => number) {
    this.#now = now;
    this.#calendar = new Calendar(now);
    const bar = this.#bar;
    bar.addEventListener("pointerdown", (event) => this.#grab(event));
    bar.addEventListener("pointermove", (event) => this.#drag(event));
    bar.addEventListener("pointerup", (event) => this.#release(event));
    bar.addEventListener("pointercancel", (event) => this.#release(event));
    bar.addEventListener("keydown", (event) => this.#key(event));
    bar.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (this.#held === undefined && Math.abs(event.deltaY) > 1) this.#zoomBy(event.deltaY < 0 ? 1 : -1);
    }, { passive: false });
    find("play").addEventListener("click", () => this.#toggle());
    find("step-back").addEventListener("click", () => this.#step(-1));
    find("step-on").addEventListener("click", () => this.#step(1));
    find("speed").addEventListener("click", () => this.#speedBy(1, true));
    find("go-live").addEventListener("click", () => this.#recordings?.toLive());
    for (const zoom of ZOOMS) find(`zoom-${zoom}`).addEventListener("click", () => this.#recordings?.setZoom(zoom));
    document.addEventListener("keydown", (event) => this.#shortcut(event));
  }

  /** Shows the recordings of another camera, or of none. */
  turnTo(recordings: Recordings | undefined): void {
    this.#recordings = recordings;
    this.#calendar.turnTo(recordings);
    this.#held = undefined;
    this.#drawn = "";
  }

  /** Where there are recordings to go to. */
  get #usable(): Recordings | undefined {
    const recordings = this.#recordings;
    return recordings?.archive.kept === true && recordings.hours.length > 0 ? recordings : undefined;
  }

  #at(event: PointerEvent, { window }: Recordings): { at: number; edge: boolean } {
    const { left, right, width } = this.#bar.getBoundingClientRect();
    const edge = event.clientX >= right - EDGE_PX && window.to >= this.#now() - 5_000;
    return { at: timeAt((event.clientX - left) / width, window), edge };
  }

  #grab(event: PointerEvent): void {
    const recordings = this.#usable;
    if (!recordings || event.button !== 0) return;
    this.#bar.setPointerCapture(event.pointerId);
    this.#held = { id: event.pointerId, ...this.#at(event, recordings) };
    recordings.seek(this.#held.at, false);
  }

  #drag(event: PointerEvent): void {
    if (this.#held?.id !== event.pointerId || !this.#recordings) return;
    this.#held = { id: event.pointerId, ...this.#at(event, this.#recordings) };
    this.#recordings.seek(this.#held.at, false);
  }

  #release(event: PointerEvent): void {
    const held = this.#held;
    if (held?.id !== event.pointerId) return;
    this.#held = undefined;
    if (held.edge) this.#recordings?.toLive();
    else this.#recordings?.seek(held.at, true);
  }

  #key(event: KeyboardEvent): void {
    const recordings = this.#usable;
    if (!recordings || event.ctrlKey || event.metaKey || event.altKey) return;
    const { window, zoom, at } = recordings;
    const step = event.shiftKey ? 1_000 : stepOf(zoom);
    const page = (window.to - window.from) / 10;
    const move = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step, PageDown: -page, PageUp: page }[event.key];
    if (event.key === "End") recordings.toLive();
    else if (event.key === "Home") recordings.seek(window.from, true);
    else if (move !== undefined) {
      if (move > 0 && !recordings.past) return;
      // What was filmed just now is not stored yet: from live the first step goes to what is.
      recordings.seek((recordings.past ? at : at - UNSTORED_MS) + move, true);
    } else return;
    event.preventDefault();
  }

  #shortcut(event: KeyboardEvent): void {
    const recordings = this.#usable;
    if (!recordings || event.ctrlKey || event.metaKey || event.altKey) return;
    const onButton = event.target instanceof HTMLButtonElement;
    if (event.key === " " && !onButton) this.#toggle();
    else if (event.key === ",") this.#step(-1);
    else if (event.key === ".") this.#step(1);
    else if (event.key === ">") this.#speedBy(1, false);
    else if (event.key === "<") this.#speedBy(-1, false);
    else if (event.key === "l") recordings.toLive();
    else if (event.key === "+" || event.key === "-") this.#zoomBy(event.key === "+" ? 1 : -1);
    else return;
    event.preventDefault();
  }

  #toggle(): void {
    if (!this.#recordings?.past) return;
    const { player } = this.#recordings;
    if (player.wanted && player.mode !== "gap" && player.mode !== "end") player.pause();
    else player.play();
  }

  #step(by: 1 | -1): void {
    if (this.#recordings?.past) void this.#recordings.player.step(by).catch(() => {});
  }

  #speedBy(by: 1 | -1, around: boolean): void {
    const recordings = this.#recordings;
    if (!recordings) return;
    const at = SPEEDS.indexOf(recordings.player.speed) + by;
    const speed = around ? SPEEDS[at % SPEEDS.length] : SPEEDS[Math.max(0, at)];
    if (speed) recordings.setSpeed(speed);
  }

  #zoomBy(by: 1 | -1): void {
    const recordings = this.#recordings;
    if (!recordings) return;
    const zoom = ZOOMS[ZOOMS.indexOf(recordings.zoom) + by];
    if (zoom) recordings.setZoom(zoom);
  }

  /** `words`: stand in the bar where there is nothing else. `live`: what is shown now is live. */
  update(words: string, live: boolean): void {
    const recordings = this.#recordings;
    if (!recordings) return;
    const { window, past, player, zoom } = recordings;
    const now = this.#now();
    const at = this.#held?.at ?? recordings.at;
    const usable = this.#usable !== undefined;
    this.#tape.dataset["kept"] = usable ? "yes" : "no";
    document.documentElement.dataset["mode"] = past ? "recorded" : "live";
    put("bar-words", words);

    const width = this.#bar.clientWidth;
    const position = Math.min(1, Math.max(0, positionOf(at, window)));
    find("playhead").style.setProperty("left", `${position * 100}%`);
    this.#bar.dataset["held"] = String(this.#held !== undefined);
    put("playhead-time", this.#held?.edge ? "Live" : timeWords(at));
    const [half, x] = [44, position * width];
    find("playhead-time").style.setProperty("--shift", `${Math.round(Math.max(half - x, 0) - Math.max(half - (width - x), 0))}px`);

    const spoken = past ? `${dayWords(at, now)}, ${timeWords(at)}` : "Live";
    const filmed = past && player.shown && player.mode !== "gap" && !this.#held ? player.shown.filmed : at;
    put("tape-clock", !usable ? "" : past ? `${dayOf(filmed) === dayOf(now) ? "" : `${new Date(filmed).toLocaleDateString([], DATE)}, `}${timeWords(filmed)}` : "");
    attribute(this.#bar, "aria-valuemin", String(Math.round(window.from / 1000)));
    attribute(this.#bar, "aria-valuemax", String(Math.round(window.to / 1000)));
    attribute(this.#bar, "aria-valuenow", String(Math.round(at / 1000)));
    attribute(this.#bar, "aria-valuetext", spoken);
    attribute(this.#bar, "aria-disabled", String(!usable));

    const playing = past && player.wanted && player.mode !== "gap" && player.mode !== "end";
    const play = find("play") as HTMLButtonElement;
    play.dataset["playing"] = String(playing || !past);
    play.disabled = !past;
    attribute(play, "aria-label", playing ? "Pause" : "Play");
    attribute(play, "title", `${playing ? "Pause" : "Play"} (space)`);
    for (const id of ["step-back", "step-on"]) (find(id) as HTMLButtonElement).disabled = !past || player.mode === "gap" || player.mode === "end";
    const speed = find("speed") as HTMLButtonElement;
    speed.disabled = !past;
    put("speed", `${player.speed}×`);
    attribute(speed, "aria-label", `Speed ${player.speed} times`);
    for (const name of ZOOMS) {
      attribute(find(`zoom-${name}`), "aria-pressed", String(name === zoom));
      (find(`zoom-${name}`) as HTMLButtonElement).disabled = !usable;
    }
    (find("day") as HTMLButtonElement).disabled = !usable;
    put("day-words", dayWords(recordings.day ?? at, now));
    const goLive = find("go-live") as HTMLButtonElement;
    goLive.disabled = !past;
    goLive.dataset["live"] = String(live && !past);

    this.#draw(recordings, window, width);
    this.#calendar.update();
  }

  /** Spans, marks and times; made anew only when they would look different. */
  #draw({ spans, marks, zoom }: Recordings, window: Span, width: number): void {
    const pixel = (at: number) => Math.round(positionOf(at, window) * width);
    const shown = spans.filter(({ from, to }) => to > window.from && from < window.to);
    // Of those that would stand on one another, the first; a doorbell is not hidden by motion.
    const taken = new Map<string, number>();
    const seen = marks.filter(({ at, kind }) => {
      if (at < window.from || at > window.to || pixel(at) - (taken.get(kind) ?? -Infinity) < MARK_PX) return false;
      taken.set(kind, pixel(at));
      return true;
    });
    // By the pixel: the window of the present moves all the time, the bar only now and then.
    const key = JSON.stringify([
      zoom, width, shown.map(({ from, to }) => [pixel(from), pixel(to)]), seen.map(({ at }) => pixel(at)), Math.round(window.from / ((window.to - window.from) / Math.max(width, 1))),
    ]);
    if (key === this.#drawn) return;
    this.#drawn = key;
    find("bar-spans").replaceChildren(...shown.map(({ from, to }) => {
      const element = document.createElement("div");
      const [left, right] = [Math.max(0, positionOf(from, window)), Math.min(1, positionOf(to, window))];
      element.style.setProperty("left", `${left * 100}%`);
      element.style.setProperty("width", `${(right - left) * 100}%`);
      return element;
    }));
    find("bar-marks").replaceChildren(...seen.map(({ at, kind }) => {
      const element = document.createElement("div");
      element.dataset["kind"] = kind;
      element.title = `${kind === "doorbell" ? "Doorbell" : "Motion"} at ${timeWords(at)}`;
      element.style.setProperty("left", `${positionOf(at, window) * 100}%`);
      return element;
    }));
    const ticks = ticksOf(window, Math.max(2, Math.floor(width / TICK_PX)));
    find("bar-ticks").replaceChildren(...ticks.filter((tick) => pixel(tick) > 18 && pixel(tick) < width - 18).map((tick) => {
      const element = document.createElement("span");
      element.textContent = new Date(tick).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
      element.style.setProperty("left", `${positionOf(tick, window) * 100}%`);
      return element;
    }));
  }
}

/** A month of days, those with recordings to be chosen. */
class Calendar {
  #recordings: Recordings | undefined;
  readonly #now: () => number;
  /** First day of the month that is shown. */
  #month: number;
  #drawn = "";

  constructor(now: () => number) {
    this.#now = now;
    this.#month = monthOf(now());
    find("month-before").addEventListener("click", () => this.#turn(-1));
    find("month-after").addEventListener("click", () => this.#turn(1));
    find("calendar").addEventListener("toggle", (event) => {
      if ((event as ToggleEvent).newState === "open") this.#month = monthOf(this.#recordings?.at ?? now());
      this.update();
    });
  }

  turnTo(recordings: Recordings | undefined): void {
    this.#recordings = recordings;
    this.#drawn = "";
  }

  #turn(by: number): void {
    const date = new Date(this.#month);
    this.#month = date.setMonth(date.getMonth() + by);
    this.update();
  }

  update(): void {
    const recordings = this.#recordings;
    if (!recordings || !find("calendar").matches(":popover-open")) return;
    const { days, at } = recordings;
    const now = this.#now();
    const key = JSON.stringify([this.#month, days, dayOf(at)]);
    if (key === this.#drawn) return;
    this.#drawn = key;
    put("calendar-month", new Date(this.#month).toLocaleDateString([], { month: "long", year: "numeric" }));
    (find("month-before") as HTMLButtonElement).disabled = (days.at(-1) ?? now) >= this.#month;
    (find("month-after") as HTMLButtonElement).disabled = monthOf(now) <= this.#month;
    const cells: HTMLElement[] = [];
    // 1 January 2024 was a Monday.
    for (let i = 0; i < 7; i++) cells.push(cell("span", new Date(2024, 0, 1 + i).toLocaleDateString([], { weekday: "narrow" }), "weekday"));
    const date = new Date(this.#month);
    for (let i = 0; i < (date.getDay() + 6) % 7; i++) cells.push(cell("span", "", ""));
    for (; monthOf(date.getTime()) === this.#month; date.setDate(date.getDate() + 1)) {
      const day = date.getTime();
      const button = cell("button", String(date.getDate()), "") as HTMLButtonElement;
      button.type = "button";
      button.disabled = !days.includes(day);
      attribute(button, "aria-label", `${date.toLocaleDateString([], { dateStyle: "full" })}${button.disabled ? ", no recordings" : ""}`);
      if (day === dayOf(at)) attribute(button, "aria-current", "date");
      button.addEventListener("click", () => {
        (find("calendar") as HTMLElement).hidePopover();
        recordings.chooseDay(day);
      });
      cells.push(button);
    }
    find("calendar-days").replaceChildren(...cells);
  }
}

function monthOf(ms: number): number {
  const date = new Date(ms);
  return new Date(date.getFullYear(), date.getMonth(), 1).getTime();
}

function cell(tag: "span" | "button", text: string, name: string): HTMLElement {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = name;
  return element;
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

function attribute(element: HTMLElement, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
