//! What a person has to know of who may watch his cameras, above everything else, until he says that he does.

import { changeWords, isAlarm } from "./ghost.ts";
import type { LiveCamera } from "./live.ts";

interface Notice {
  titles: string[];
  words: string;
  alarm: boolean;
  accept: () => void;
}

/** Of cameras that say the same, one. Alarms first. */
function noticesOf(cameras: readonly LiveCamera[]): Notice[] {
  const notices = new Map<string, Notice>();
  for (const camera of cameras) {
    const { change, title } = camera;
    if (!change) continue;
    const words = changeWords(change);
    const other = notices.get(words);
    if (!other) notices.set(words, { titles: [title], words, alarm: isAlarm(change), accept: () => camera.accept() });
    else {
      const { accept } = other;
      other.titles.push(title);
      other.accept = () => { accept(); camera.accept(); };
    }
  }
  return [...notices.values()].sort((a, b) => Number(b.alarm) - Number(a.alarm));
}

export class Notices {
  readonly #element = document.getElementById("notices")!;
  readonly #cameras: readonly LiveCamera[];
  #drawn = "";

  constructor(cameras: readonly LiveCamera[]) {
    this.#cameras = cameras;
  }

  update(): void {
    const notices = noticesOf(this.#cameras);
    const key = JSON.stringify(notices);
    if (key === this.#drawn) return;
    this.#drawn = key;
    this.#element.replaceChildren(...notices.map((notice) => this.#draw(notice)));
  }

  #draw({ titles, words, alarm, accept }: Notice): HTMLElement {
    const [item, text, known] = [document.createElement("div"), document.createElement("p"), document.createElement("button")];
    item.className = "notice";
    item.dataset["tone"] = alarm ? "alarm" : "warn";
    item.setAttribute("role", "alert");
    if (this.#cameras.length > 1) {
      const who = document.createElement("strong");
      who.textContent = `${titles.join(", ")}: `;
      text.append(who);
    }
    text.append(words);
    known.type = "button";
    known.textContent = "I know";
    known.addEventListener("click", () => { accept(); this.update(); });
    item.append(text, known);
    return item;
  }
}
