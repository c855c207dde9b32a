//! What a page makes of who may watch, from what it remembers and what it sees.

import assert from "node:assert/strict";
import { test } from "node:test";
import { changeWords, isAlarm, judge, type Memory, note, parseMemory, type Sealing, type Seen, Watchman } from "../src/ghost.ts";

const START = 1_795_000_000_000_000;
const A = "aa".repeat(32);
const B = "bb".repeat(32);
const before = (version: number, recipients: number, hash = A): Sealing => ({ version, hash, recipients, start: START });
const seen = (version: number, recipients: number, more: Partial<Seen> = {}): Seen =>
  ({ version, hash: A, recipients, start: START + 60_000_000, at: START + 62_000_000, proved: false, ...more });

test("the first sight of a camera is no change", () => {
  assert.equal(judge(undefined, seen(3, 2)), "first");
  assert.equal(note(undefined, seen(3, 2)).pending, undefined);
});

test("the same list and as many devices are nothing to tell, in whatever session", () => {
  assert.equal(judge(before(3, 2), seen(3, 2)), "same");
  assert.equal(judge(before(0, 1), seen(0, 1)), "same");
  assert.equal(judge(before(0, 1), seen(0, 1, { hash: B })), "same");
});

test("fewer devices under the same list are an expiry, and are remembered: to have them back is an alarm", () => {
  assert.equal(judge(before(3, 3), seen(3, 2)), "same");
  const memory = note({ newest: before(3, 3) }, seen(3, 2));
  assert.equal(memory.newest.recipients, 2);
  assert.equal(judge(memory.newest, seen(3, 3, { start: START + 120_000_000 })), "more");
});

test("a newer list is a change, whoever is on it", () => {
  for (const recipients of [1, 2, 5]) assert.equal(judge(before(3, 2), seen(4, recipients, { hash: B })), "changed");
  assert.equal(judge(before(0, 1), seen(1, 1)), "changed");
});

test("an older list, another of the same version, and more devices than before are alarms", () => {
  const alarms: [Sealing, Seen, string][] = [
    [before(4, 2), seen(3, 2, { hash: B }), "back"],
    [before(4, 2), seen(0, 2, { hash: "00".repeat(32) }), "back"],
    [before(3, 2), seen(3, 2, { hash: B }), "forked"],
    [before(3, 2), seen(3, 1, { hash: B }), "forked"],
    [before(3, 2), seen(3, 3), "more"],
    [before(0, 1), seen(0, 2), "more"],
  ];
  for (const [memory, now, kind] of alarms) {
    assert.equal(judge(memory, now), kind);
    const { pending } = note({ newest: memory }, now);
    assert.ok(isAlarm(pending), kind);
  }
});

test("a session from before the one seen last says nothing, unless it goes on", () => {
  const old = { start: START - 60_000_000 };
  assert.equal(judge(before(4, 2), seen(3, 3, { ...old, at: START + 2_000_000 })), "older");
  // The camera's clock was set back, but it signed this page's number; or it is still filming.
  assert.equal(judge(before(4, 2), seen(3, 3, { ...old, at: START + 2_000_000, proved: true })), "back");
  assert.equal(judge(before(4, 2), seen(3, 3, { ...old, at: START + 60_000_000 })), "back");
  const memory: Memory = { newest: before(4, 2) };
  assert.equal(note(memory, seen(3, 3, { ...old, at: START })), memory);
});

test("what happened stays until it is accepted, and nothing makes it less than it was", () => {
  const at = (minutes: number) => ({ start: START + minutes * 60_000_000, at: START + minutes * 60_000_000 });
  let memory = note({ newest: before(3, 1) }, seen(4, 2, { hash: B, ...at(1) }));
  assert.deepEqual([memory.pending?.kind, memory.pending?.from.version, memory.pending?.to.version], ["changed", 3, 4]);
  memory = note(memory, seen(5, 2, { ...at(2) }));
  assert.deepEqual([memory.pending?.kind, memory.pending?.from.version, memory.pending?.to.version], ["changed", 3, 5]);
  memory = note(memory, seen(5, 2, { ...at(3) }));
  assert.equal(memory.pending?.kind, "changed");
  // Back to what was there before the ghost came: it is not forgotten, it is worse.
  memory = note(memory, seen(3, 1, { ...at(4) }));
  assert.deepEqual([memory.pending?.kind, memory.pending?.from.version, memory.pending?.to.version], ["back", 5, 3]);
  memory = note(memory, seen(6, 1, { ...at(5) }));
  assert.equal(memory.pending?.kind, "back");
  assert.equal(note({ newest: memory.newest }, seen(6, 1, { ...at(6) })).pending, undefined, "accepted");
});

test("words name versions and numbers, and say what to do", () => {
  const change = (kind: "changed" | "back" | "forked" | "more", from: Sealing, to: Sealing) => changeWords({ kind, from, to });
  assert.match(change("changed", before(3, 1), before(4, 2)), /changed: version 3 → 4, sealed to 2 devices, before 1\. If nobody in your home did that, /);
  assert.match(change("changed", before(0, 1), before(1, 1)), /version none → 1, sealed to 1 device, before 1\./);
  assert.match(change("back", before(4, 1), before(3, 2)), /went back: version 4 → 3, sealed to 2 devices, before 1\./);
  assert.match(change("back", before(4, 1), before(0, 1)), /no list any more.*version 4/);
  assert.match(change("forked", before(3, 1), before(3, 2, B)), /two different lists, both of version 3/);
  assert.match(change("more", before(0, 1), before(0, 2)), /sealed to 2 devices, before 1, and has no list/);
  assert.match(change("more", before(3, 1), before(3, 2)), /still version 3/);
});

test("what is remembered comes back from its text, and anything else is nothing", () => {
  const plain: Memory = { newest: before(3, 2) };
  const pending: Memory = { newest: before(4, 2, B), pending: { kind: "forked", from: before(4, 2), to: before(4, 2, B) } };
  for (const memory of [plain, pending]) assert.deepEqual(parseMemory(JSON.stringify(memory)), memory);
  for (const text of [undefined, "", "null", "[]", "{", "{}", '{"newest":{"version":1}}', JSON.stringify({ newest: { ...before(3, 2), hash: "x" } }), JSON.stringify({ newest: before(-1, 2) })]) {
    assert.equal(parseMemory(text), undefined, String(text));
  }
  assert.deepEqual(parseMemory(JSON.stringify({ ...plain, pending: { kind: "fine" } })), plain);
});

test("a page that is a moment longer in the session before the list changed cries no alarm", () => {
  const kept = new Map<string, string>();
  const storing = { recall: (name: string) => kept.get(name), remember: (name: string, value: string) => kept.set(name, value) !== undefined };
  const [one, two] = [new Watchman(storing, "a"), new Watchman(storing, "a")];
  const [before, after] = [seen(1, 1, { proved: true }), seen(2, 2, { hash: B, start: START + 120_000_000, proved: true })];
  for (const watchman of [one, two]) watchman.handle(before);
  one.handle(after);
  two.handle({ ...before, at: before.at + 2_000_000 });
  assert.equal(two.pending?.kind, "changed");
  two.handle(after);
  assert.deepEqual([one.pending?.kind, two.pending?.kind], ["changed", "changed"]);
  // A session of its own that has the old list is one.
  two.handle({ ...before, start: START + 180_000_000 });
  assert.equal(two.pending?.kind, "back");
});

test("what was accepted in one page is accepted in another, and a browser that remembers nothing still tells within one page", () => {
  const kept = new Map<string, string>();
  const storing = { recall: (name: string) => kept.get(name), remember: (name: string, value: string) => kept.set(name, value) !== undefined };
  const [one, two] = [new Watchman(storing, "a"), new Watchman(storing, "a")];
  one.handle(seen(1, 1));
  for (const watchman of [one, two]) watchman.handle(seen(2, 2, { hash: B }));
  assert.deepEqual([one.pending?.kind, two.pending?.kind, new Watchman(storing, "a").pending?.kind], ["changed", "changed", "changed"]);
  one.accept();
  two.handle(seen(2, 2, { hash: B }));
  assert.deepEqual([one.pending, two.pending, new Watchman(storing, "b").pending], [undefined, undefined, undefined]);
  const forgetful = new Watchman({ recall: () => undefined, remember: () => false }, "a");
  forgetful.handle(seen(2, 2));
  forgetful.handle(seen(1, 2));
  assert.equal(forgetful.pending?.kind, "back");
});
