import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBase64url, fromHex, toBase64url, toHex } from "../src/bytes.ts";
import { LinkError, parseLink } from "../src/link.ts";

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
