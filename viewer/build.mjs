// Builds the page into dist/ (committed: the Rust build embeds it and must not need node).
//   node build.mjs         dist/
//   node build.mjs check   fails unless dist/ is what the sources build to
//   node build.mjs test    the tests, into dev/out/test/
//   node build.mjs vectors   what writes ../vectors/session/viewer-*.json, into dev/out/
//   node build.mjs dev     the page with a fake camera in it, into dev/out/page/

import { build } from "esbuild";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
process.chdir(here);
const what = process.argv[2] ?? "dist";
const BANNER = "/*! Doorframe viewer, MIT OR Apache-2.0. Bundled packages and their licences: viewer/dist/LICENSES.txt in the source. */";

const page = {
  bundle: true,
  format: "esm",
  target: ["es2022", "chrome114", "firefox125"],
  legalComments: "none",
  logLevel: "warning",
  // @moq/net reports every subscription to the console; the page itself has nothing to say there.
  drop: ["console", "debugger"],
  // What @moq/net needs only to open a transport itself (browser sniffing, the WebSocket fallback): we hand it ours.
  alias: { bowser: "./src/absent.ts", "@moq/qmux": "./src/absent.ts" },
};

async function dist() {
  const script = await build({ ...page, entryPoints: ["src/main.ts"], minify: true, write: false, metafile: true, banner: { js: BANNER } });
  const style = await build({ entryPoints: ["src/viewer.css"], minify: true, write: false });
  // One file that carries everything: its script as text, and the bundle where the program puts it.
  const clip = await build({ ...page, format: "iife", entryPoints: ["src/bundle-page.ts"], minify: true, write: false, banner: { js: BANNER } });
  const text = Buffer.from(clip.outputFiles[0].contents).toString().replaceAll("</script", "<\\/script");
  return {
    "index.html": await readFile("src/index.html"),
    "bundle.html": Buffer.from((await readFile("src/bundle.html")).toString().replace("@SCRIPT@", () => text)),
    "viewer.js": script.outputFiles[0].contents,
    "viewer.css": style.outputFiles[0].contents,
    "LICENSES.txt": Buffer.from(licences(Object.entries(Object.values(script.metafile.outputs)[0].inputs))),
  };
}

/** Names, versions and licence texts of every package that went into the bundle. */
function licences(inputs) {
  const used = inputs.filter(([, { bytesInOutput }]) => bytesInOutput > 0);
  const folders = new Set(used.map(([path]) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]).filter(Boolean));
  let apache = false;
  const parts = [...folders].sort().map((folder) => {
    const { name, version, license, author, repository } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
    const by = typeof author === "string" ? author : author?.name;
    const from = typeof repository === "string" ? repository : repository?.url;
    const head = [`${name} ${version}`, `Licence: ${license}`, by && `Author: ${by}`, from && `Source: ${from}`].filter(Boolean).join("\n");
    if (file) return `${head}\n\n${readFileSync(join(folder, file), "utf8").trim()}`;
    if (!/Apache-2\.0/.test(license)) throw new Error(`${name} has no licence text`);
    apache = true;
    return `${head}\nThe package carries no text of its own; used here under the Apache License 2.0, which stands at the end.`;
  });
  if (apache) parts.push(readFileSync("../LICENSE-APACHE", "utf8").trim());
  const rule = `\n\n${"-".repeat(80)}\n\n`;
  return `The Doorframe viewer (viewer.js and bundle.html) contains these packages.${rule}${parts.join(rule)}\n`;
}

async function put(folder, files) {
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
}

if (what === "dist") {
  const files = await dist();
  await put("dist", files);
  for (const [name, bytes] of Object.entries(files)) console.log(`${name} ${bytes.length}`);
} else if (what === "check") {
  for (const [name, bytes] of Object.entries(await dist())) {
    const path = join("dist", name);
    if (!existsSync(path) || !readFileSync(path).equals(Buffer.from(bytes))) {
      console.error(`${path} is not what the sources build to: run "npm run build" and commit it`);
      process.exitCode = 1;
    }
  }
} else if (what === "test") {
  await rm("dev/out/test", { recursive: true, force: true });
  const entryPoints = readdirSync("test").filter((file) => file.endsWith(".test.ts")).map((file) => join("test", file));
  await build({ bundle: true, format: "esm", platform: "node", target: "node20", packages: "external", sourcemap: "inline", entryPoints, outdir: "dev/out/test", outExtension: { ".js": ".mjs" }, logLevel: "warning" });
} else if (what === "vectors") {
  await build({ bundle: true, format: "esm", platform: "node", target: "node20", packages: "external", entryPoints: ["dev/vectors.ts"], outfile: "dev/out/vectors.mjs", logLevel: "warning" });
} else if (what === "dev") {
  await build({ ...page, drop: [], sourcemap: "inline", entryPoints: { viewer: "dev/main.ts" }, outdir: "dev/out/page" });
  await put("dev/out/page", { "index.html": await readFile("src/index.html"), "viewer.css": await readFile("src/viewer.css") });
}
