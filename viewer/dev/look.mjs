// Takes pictures of the page in its states: `npm run dev && node dev/look.mjs [state…]`, into dev/out/shots/.
// CHROMIUM names the browser.

import { createServer } from "node:http";
import { mkdirSync, readFileSync } from "node:fs";
import { extname } from "node:path";
import { chromium } from "playwright-core";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };
const CSP = "default-src 'self'; connect-src https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const server = createServer((request, response) => {
  const path = new URL(request.url, "http://x").pathname;
  try {
    const body = readFileSync(`dev/out/page${path === "/" ? "/index.html" : path}`);
    response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "text/html", "content-security-policy": CSP });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const base = `http://127.0.0.1:${server.address().port}/`;

const ALL = [
  "live", "clock", "connecting", "unreachable", "refused", "waiting", "gone", "lost-hub", "stalled", "flipped", "opening", "wrong-device", "wrong-suite",
  "alarm-identity", "alarm-tampered", "alarm-stale", "devices-changed", "devices-back", "devices-more", "devices-none", "no-link", "bad-link", "no-webtransport", "unrecorded", "tape", "several",
];
const states = process.argv.length > 2 ? process.argv.slice(2) : ALL;
const SLOW = { gone: 4500, "lost-hub": 6000, stalled: 7500, flipped: 7500, "alarm-stale": 8000, "alarm-tampered": 5000, clock: 5000, unreachable: 2500, live: 4000, tape: 3500, several: 6000, unrecorded: 3500 };
const LOOKS = process.env.ALL_LOOKS
  ? [["phone", 390, 844, "dark"], ["phone-light", 390, 844, "light"], ["desktop", 1280, 800, "light"], ["desktop-dark", 1280, 800, "dark"], ["landscape", 844, 390, "dark"], ["small", 320, 568, "light"]]
  : [["phone", 375, 812, "dark"], ["desktop", 1280, 800, "light"]];
mkdirSync("dev/out/shots", { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
for (const state of states) {
  for (const [name, width, height, colorScheme] of LOOKS) {
    const page = await browser.newPage({ viewport: { width, height }, colorScheme, deviceScaleFactor: 1 });
    page.on("console", (message) => console.log(`${state}: ${message.text()}`));
    page.on("pageerror", (error) => console.log(`${state}: ${error}`));
    await page.goto(`${base}?state=${state === "several" ? "gone&cameras=4&small" : state}`);
    await page.waitForTimeout(SLOW[state] ?? 1500);
    await page.screenshot({ path: `dev/out/shots/${state}-${name}.png` });
    const seen = await page.evaluate(() => JSON.stringify(window.doorframe));
    console.log(`${state} ${name}: ${seen}`);
    if (state === "live") {
      await page.click("#lock");
      await page.waitForTimeout(300);
      await page.screenshot({ path: `dev/out/shots/about-${name}.png` });
      await page.keyboard.press("Escape");
      await page.click("#figures summary");
      await page.waitForTimeout(300);
      await page.screenshot({ path: `dev/out/shots/figures-${name}.png` });
    }
    if (state === "tape") await tape(page, name);
    if (state === "several") await several(page, name);
    await page.close();
  }
}

/** From tile to tile by keys, into one and back. */
async function several(page, name) {
  for (const key of ["Tab", "ArrowDown", "Enter", "Escape"]) {
    await page.keyboard.press(key);
    await page.waitForTimeout(800);
    await page.screenshot({ path: `dev/out/shots/several-${key}-${name}.png` });
    const { view, cameras } = await page.evaluate(() => window.doorframe);
    console.log(`several ${key} ${name}: ${view} ${cameras.map(({ title, state, decoding }) => `${title} ${state} ${decoding ? "decoded" : "paused"}`).join(", ")}`);
  }
}

/** Back along the bar, on a gap, while a finger moves, at another length, and to live again. */
async function tape(page, name) {
  const shot = async (what, wait = 1200) => {
    await page.waitForTimeout(wait);
    await page.screenshot({ path: `dev/out/shots/tape-${what}-${name}.png` });
    const { state, message, tape } = await page.evaluate(() => window.doorframe);
    console.log(`tape ${what} ${name}: ${state} “${message}” ${JSON.stringify(tape)}`);
  };
  const box = await page.locator("#bar").boundingBox();
  const point = (share) => [box.x + box.width * share, box.y + 15];
  await page.mouse.move(...point(0.8));
  await page.mouse.down();
  await page.mouse.move(...point(0.7), { steps: 6 });
  await shot("held", 800);
  await page.mouse.up();
  await shot("playing", 2500);
  await page.click("#play");
  await page.keyboard.press(",");
  await shot("paused");
  await page.mouse.click(...point(0.52));
  await shot("gap");
  await page.click("#zoom-day");
  await shot("day");
  await page.click("#zoom-minutes");
  await shot("minutes");
  await page.click("#day");
  await shot("calendar", 400);
  await page.keyboard.press("Escape");
  await page.mouse.click(...point(0.6));
  await page.keyboard.press("Space");
  for (let i = 0; i < 3; i++) await page.click("#speed");
  await shot("fast", 3000);
  await page.click("#go-live");
  await shot("back", 700);
}
await browser.close();
server.close();
