//! The watch link (docs/wire.md §8), of one camera or several: parsing the fragment, with an error a person can act on.

import { type Bytes, fromBase64url, fromHex } from "./bytes.ts";

export interface Link {
  /** `https://HOST:PORT/SCOPE`, without a query. */
  hub: URL;
  /** SHA-256 of the hub's certificate, where it is pinned. */
  certificate: Bytes | undefined;
  token: string;
  /** Alias of the camera. */
  camera: string;
  /** The camera's Ed25519 identity key. */
  identity: Bytes;
  /** This viewer's X-Wing seeds, the newest first: the one in use, and those before it, which older sessions are sealed to. */
  devices: readonly Bytes[];
}

export class LinkError {
  constructor(
    /** The part of the link that is wrong; empty where there is no link at all. */
    readonly part: string,
    /** A sentence for the person who opened it. Never quotes a secret. */
    readonly message: string,
  ) {}
}

const KNOWN = ["v", "hub", "cert", "token", "camera", "identity", "device", "retired"];
const OPTIONAL = ["cert", "retired"];
/** Most keys before the newest in a link: those of a year, at one a week. */
const MOST_RETIRED = 52;

/** Most cameras that one link may name. */
export const MOST = 16;

/** The cameras of a link, in its order: 1 to {@link MOST}, all different. What is wrong with a link of several says of which. */
export function parseLinks(fragment: string): Link[] | LinkError {
  const text = fragment.startsWith("#") ? fragment.slice(1) : fragment;
  if (text === "") return new LinkError("", "There is no watch link in the address.");
  const parts = text.split(";");
  if (parts.length > MOST) return new LinkError("cameras", `The link names ${parts.length} cameras; a page shows up to ${MOST}.`);
  const links: Link[] = [];
  let before: Values | undefined;
  for (const [i, part] of parts.entries()) {
    const values = parseValues(part, before);
    let link = values instanceof LinkError ? values : linkOf(values);
    if (!(link instanceof LinkError) && links.some((other) => isSame(other, link as Link))) link = new LinkError("camera", `“${link.camera}” is in the link twice.`);
    if (link instanceof LinkError) return parts.length === 1 ? link : new LinkError(link.part, `Camera ${i + 1} of ${parts.length}: ${link.message}`);
    before = values as Values;
    links.push(link);
  }
  return links;
}

function isSame(a: Link, b: Link): boolean {
  return a.hub.href === b.hub.href && a.camera === b.camera;
}

type Values = Map<string, string>;

/** A camera after the first leaves out what is as in the one before; with a hub of its own, hub, certificate and token are its own, and with a key of its own those before that too. */
function parseValues(text: string, before: Values | undefined): Values | LinkError {
  const values: Values = new Map();
  for (const pair of text.split("&")) {
    const split = pair.indexOf("=");
    const name = split < 0 ? pair : pair.slice(0, split);
    if (!KNOWN.includes(name)) continue;
    if (values.has(name)) return new LinkError(name, `The link says “${name}” twice.`);
    try {
      values.set(name, split < 0 ? "" : decodeURIComponent(pair.slice(split + 1)));
    } catch {
      return new LinkError(name, `“${name}” in the link is damaged.`);
    }
  }
  const inherited = ["v", ...(values.has("hub") ? [] : ["hub", "cert", "token"]), ...(values.has("device") ? [] : ["device", "retired"])];
  for (const name of inherited) {
    const value = before?.get(name);
    if (value !== undefined && !values.has(name)) values.set(name, value);
  }
  return values;
}

function linkOf(values: Values): Link | LinkError {
  const version = values.get("v");
  if (version === undefined) return new LinkError("v", "This is not a watch link: it does not start with “v=1”.");
  if (version !== "1") return new LinkError("v", "The link was made by a newer Doorframe. Update the program that serves this page.");
  for (const name of KNOWN) {
    if (!OPTIONAL.includes(name) && !values.get(name)) return new LinkError(name, `The link is cut short: “${name}” is missing.`);
  }
  const value = (name: string) => values.get(name) ?? "";

  const hub = parseHub(value("hub"));
  if (hub instanceof LinkError) return hub;

  let certificate: Bytes | undefined;
  if (values.has("cert")) {
    certificate = fromHex(value("cert"));
    if (certificate?.length !== 32) return new LinkError("cert", "“cert” in the link is not a SHA-256 hash of 64 hex digits.");
  }
  if (!/^[a-z0-9-]{1,64}$/.test(value("camera"))) {
    return new LinkError("camera", "“camera” in the link is not a camera name: 1 to 64 of a-z, 0-9 and “-”.");
  }
  const identity = fromBase64url(value("identity"));
  if (identity?.length !== 32) return new LinkError("identity", "“identity” in the link is not a key of 32 bytes.");
  const device = fromBase64url(value("device"));
  if (device?.length !== 32) return new LinkError("device", "“device” in the link is not a key of 32 bytes.");

  const devices = [device];
  if (values.has("retired")) {
    const retired = value("retired").split(".");
    if (retired.length > MOST_RETIRED) return new LinkError("retired", `“retired” in the link has ${retired.length} keys; ${MOST_RETIRED} are the most.`);
    for (const text of retired) {
      const seed = fromBase64url(text);
      if (seed?.length !== 32) return new LinkError("retired", "“retired” in the link has something else than keys of 32 bytes.");
      devices.push(seed);
    }
  }

  return { hub, certificate, token: value("token"), camera: value("camera"), identity, devices };
}

function parseHub(text: string): URL | LinkError {
  let hub: URL;
  try {
    hub = new URL(text);
  } catch {
    return new LinkError("hub", "“hub” in the link is not an address like https://hub.example:4443/home.");
  }
  if (hub.protocol !== "https:") return new LinkError("hub", "“hub” in the link must start with https://.");
  if (hub.username || hub.password || hub.search || hub.hash) {
    return new LinkError("hub", "“hub” in the link has more in it than a host, a port and a scope.");
  }
  if (hub.pathname === "/") return new LinkError("hub", "“hub” in the link names no scope after the host.");
  return hub;
}

/** What people call the cameras: their names, and where two have the same one, the scope or the hub as well. */
export function titlesOf(links: readonly Link[]): string[] {
  const plain = links.map(({ camera }) => {
    const words = camera.replace(/-+/g, " ").trim() || camera;
    return words.charAt(0).toUpperCase() + words.slice(1);
  });
  return plain.map((title, i) => {
    const twins = links.filter((_, j) => plain[j] === title);
    if (twins.length < 2) return title;
    const { hub } = links[i]!;
    const apart = new Set(twins.map(({ hub }) => hub.pathname)).size === twins.length;
    return `${title} (${apart ? hub.pathname.slice(1) : hub.host + hub.pathname})`;
  });
}
