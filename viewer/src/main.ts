//! Start: finds the watch link, checks what the browser can do, and watches its cameras.

import { showBroken, watchCameras } from "./app.ts";
import { HubCarriage } from "./carriage.ts";
import { LinkError, parseLinks } from "./link.ts";
import type { State } from "./status.ts";
import { missingSupport, tab } from "./support.ts";

const KEPT = "doorframe.link";

/**
 * The link is a door key, and an address bar is a poor place for one: it is shown to whoever looks on, shared by
 * "share this page", copied into bookmarks and synced history. So it moves into the storage of this one tab: a
 * reload and a restored tab still work, a closed tab forgets it, and the address is plain. (What opened the page, a
 * chat or the browser's list of visits, may keep the link all the same: the page cannot help that.)
 */
function takeLink(): string {
  const fragment = location.hash.slice(1);
  if (fragment === "") return tab.recall(KEPT) ?? "";
  const works = !(parseLinks(fragment) instanceof LinkError);
  if (!works || tab.remember(KEPT, fragment)) history.replaceState(null, "", location.pathname + location.search);
  return fragment;
}

async function start(): Promise<void> {
  const links = parseLinks(takeLink());
  window.addEventListener("hashchange", () => location.reload());
  if (links instanceof LinkError) return showBroken(brokenBy(links), links.message);
  const missing = await missingSupport();
  if (missing) return showBroken(missing, "");
  watchCameras(links, (link, challenge) => new HubCarriage(link, challenge));
}

function brokenBy({ part }: LinkError): State {
  if (part === "") return "no-link";
  return part === "cameras" ? "too-many" : "bad-link";
}

void start();
