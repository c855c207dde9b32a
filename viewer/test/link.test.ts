import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBase64url, fromHex, toBase64url, toHex } from "../src/bytes.ts";
import { type Link, LinkError, MOST, parseLinks, titlesOf } from "../src/link.ts";

const KEY = toBase64url(new Uint8Array(32).fill(0xfb));
const parts: Record<string, string> = {
  v: "1",
  hub: encodeURIComponent("https://127.0.0.1:4443/home"),
  cert: "ab".repeat(32),
  token: "aa.bb.cc",
  camera: "front-door",
  identity: KEY,
  device: KEY,
};
const link = (change: Record<string, string | undefined> = {}) =>
  Object.entries({ ...parts, ...change }).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${value}`).join("&");

function parseLink(fragment: string): Link | LinkError {
  const links = parseLinks(fragment);
  if (links instanceof LinkError) return links;
  assert.equal(links.length, 1);
  return links[0]!;
}

function refused(fragment: string): LinkError {
  const error = parseLink(fragment);
  assert.ok(error instanceof LinkError, fragment);
  assert.ok(!error.message.includes(KEY), "an error must not quote a secret");
  return error;
}

test("a whole link parses, with and without the number sign and the certificate", () => {
  for (const fragment of [link(), `#${link()}`]) {
    const parsed = parseLink(fragment);
    assert.ok(!(parsed instanceof LinkError));
    assert.equal(parsed.hub.href, "https://127.0.0.1:4443/home");
    assert.equal(toHex(parsed.certificate!), "ab".repeat(32));
    assert.equal(parsed.camera, "front-door");
    assert.equal(toHex(parsed.identity), "fb".repeat(32));
  }
  const unpinned = parseLink(link({ cert: undefined }));
  assert.ok(!(unpinned instanceof LinkError) && unpinned.certificate === undefined);
});

test("what version 1 does not know is passed over", () => {
  assert.ok(!(parseLink(`${link()}&future=1`) instanceof LinkError));
});

test("no link and no watch link are told apart", () => {
  assert.equal(refused("").part, "");
  assert.equal(refused("#").part, "");
  assert.equal(refused("#section-2").part, "v");
});

test("each part that is missing is named", () => {
  for (const name of ["v", "hub", "token", "camera", "identity", "device"]) {
    assert.equal(refused(link({ [name]: undefined })).part, name);
    if (name !== "v") assert.match(refused(link({ [name]: "" })).message, new RegExp(name));
  }
});

test("each part that is wrong is named", () => {
  const bad: [string, string[]][] = [
    ["v", ["2", "", "1.0"]],
    ["hub", ["nonsense", "http://127.0.0.1/home", "https://a/", "https://u:p@a/home", "https://a/home?x=1", "%E0%A4%A"]],
    ["cert", ["", "ab", "ab".repeat(31), "zz".repeat(32)]],
    ["camera", ["Front", "a%2Fb", "a".repeat(65)]],
    ["identity", ["AA", `${KEY}A`, KEY.slice(0, -1), `${KEY.slice(0, -1)}!`]],
    ["device", ["AA", `${KEY}=`]],
  ];
  for (const [name, values] of bad) for (const value of values) assert.equal(refused(link({ [name]: value })).part, name, `${name}=${value}`);
});

test("a part that stands twice is refused", () => {
  assert.equal(refused(`${link()}&device=${KEY}`).part, "device");
});

test("every cut of a link is refused or, between two parts, names what is missing", () => {
  const whole = link();
  for (let end = 0; end < whole.length; end++) refused(whole.slice(0, end));
});

test("base64url and hex take only their own forms", () => {
  assert.equal(fromBase64url("AB"), undefined); // stray bits
  assert.equal(fromBase64url("A"), undefined);
  assert.equal(fromBase64url("+/"), undefined);
  assert.equal(fromHex("abc"), undefined);
  assert.equal(fromHex("0x"), undefined);
});

const OTHER = toBase64url(new Uint8Array(32).fill(7));
const hubOf = (name: string) => encodeURIComponent(`https://${name}:4443/home`);

function several(fragment: string): Link[] {
  const links = parseLinks(fragment);
  assert.ok(!(links instanceof LinkError), fragment);
  return links;
}

test("a camera after the first leaves out what is as in the one before", () => {
  const [first, second, third] = several(`#${link()};camera=back&identity=${OTHER};camera=gate&identity=${KEY}&token=xx.yy.zz&device=${OTHER}`) as [Link, Link, Link];
  assert.deepEqual([first.camera, second.camera, third.camera], ["front-door", "back", "gate"]);
  assert.deepEqual({ ...second, camera: "", identity: "" }, { ...first, camera: "", identity: "" });
  assert.equal(toHex(second.identity), "07".repeat(32));
  assert.deepEqual([third.token, toHex(third.devices[0]!), third.hub.href, toHex(third.certificate!)], ["xx.yy.zz", "07".repeat(32), first.hub.href, "ab".repeat(32)]);
});

test("keys from before the newest are read in their order, and are those of the key that they stand with", () => {
  const THIRD = toBase64url(new Uint8Array(32).fill(9));
  const [first, second, third] = several(`${link({ retired: `${OTHER}.${THIRD}` })};camera=back&identity=${OTHER};camera=gate&identity=${OTHER}&device=${OTHER}`);
  assert.deepEqual(first!.devices.map(toHex), ["fb", "07", "09"].map((byte) => byte.repeat(32)));
  assert.deepEqual(second!.devices, first!.devices);
  assert.deepEqual(third!.devices.map(toHex), ["07".repeat(32)]);
  assert.equal(several(link({ retired: Array(52).fill(OTHER).join(".") }))[0]!.devices.length, 53);
  for (const retired of ["x", `${OTHER}.`, `${OTHER}.${OTHER.slice(1)}`, Array(53).fill(OTHER).join(".")]) assert.equal(refused(link({ retired })).part, "retired");
});

test("whole links are joined as they are", () => {
  const links = several(`${link()};${link({ camera: "back" })};${link({ camera: "front-door", hub: hubOf("other"), cert: undefined })}`);
  assert.deepEqual(links.map(({ camera, hub }) => `${camera} ${hub.host}`), ["front-door 127.0.0.1:4443", "back 127.0.0.1:4443", "front-door other:4443"]);
});

test("another hub gets neither the token nor the certificate of the one before", () => {
  const own = `hub=${hubOf("other")}&camera=back&identity=${OTHER}`;
  assert.equal(refused(`${link()};${own}`).part, "token");
  const [, second] = several(`${link()};${own}&token=xx.yy.zz`) as [Link, Link];
  assert.deepEqual([second.certificate, second.token, toHex(second.devices[0]!)], [undefined, "xx.yy.zz", "fb".repeat(32)]);
});

test("what is wrong with one camera of several is said of that one", () => {
  const bad: [string, string][] = [
    ["", "identity"], ["camera=back", "identity"], [`identity=${OTHER}`, "camera"], [`camera=back&identity=${OTHER.slice(1)}`, "identity"], [`camera=front-door&identity=${OTHER}`, "camera"],
  ];
  for (const [second, part] of bad) {
    const error = refused(`${link()};${second}`);
    assert.match(error.message, /^Camera 2 of 2: /);
    if (second !== "") assert.equal(error.part, part, second);
  }
  assert.match(refused(`${link()};camera=front-door&identity=${OTHER}`).message, /“front-door” is in the link twice/);
  assert.match(refused(`camera=back;${link()}`).message, /^Camera 1 of 2: /);
});

test("there may be 16 cameras and no more", () => {
  const of = (count: number) => [link(), ...Array.from({ length: count - 1 }, (_, i) => `camera=c${i}&identity=${OTHER}`)].join(";");
  assert.equal(several(of(MOST)).length, 16);
  const error = refused(of(MOST + 1));
  assert.equal(error.part, "cameras");
  assert.match(error.message, /17 cameras; a page shows up to 16/);
});

test("cameras of one name are told apart", () => {
  const of = (...links: [string, string][]) => titlesOf(links.map(([camera, hub]) => ({ camera, hub: new URL(hub) }) as Link));
  assert.deepEqual(of(["front-door", "https://a/x"], ["back", "https://a/x"]), ["Front door", "Back"]);
  assert.deepEqual(of(["door", "https://a/x"], ["door", "https://a/y"], ["gate", "https://a/y"]), ["Door (x)", "Door (y)", "Gate"]);
  assert.deepEqual(of(["door", "https://a:1/x"], ["door", "https://b/x"]), ["Door (a:1/x)", "Door (b/x)"]);
});
