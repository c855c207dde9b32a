//! Where tiles go.

import assert from "node:assert/strict";
import { test } from "node:test";
import { columnsOf, neighbour, tileWidth } from "../src/grid.ts";

test("tiles are as large as they can be with all in sight", () => {
  const columns = (count: number, width: number, height: number) => columnsOf(count, width, height, 16);
  assert.deepEqual([1, 2, 3, 4, 6, 9, 16].map((count) => columns(count, 1280, 720)), [1, 2, 2, 2, 3, 3, 4]);
  assert.deepEqual([2, 4, 16].map((count) => columns(count, 360, 740)), [1, 1, 1], "a phone upright");
  assert.deepEqual([2, 3].map((count) => columns(count, 820, 330)), [2, 2], "a phone on its side");
  assert.equal(columns(4, 3000, 500), 4);
});

test("no tile is wider than the room, and whatever fits its height is in sight", () => {
  for (let count = 1; count <= 16; count++) {
    for (const [width, height] of [[320, 480], [360, 740], [820, 330], [1280, 720], [2560, 1200], [100, 100]] as const) {
      const columns = columnsOf(count, width, height, 12);
      const tile = tileWidth(count, columns, width, height, 12);
      assert.ok(columns >= 1 && columns <= count, `${count} in ${width} × ${height}`);
      assert.ok(tile > 0 && columns * tile + (columns - 1) * 12 <= width, `${count} in ${width} × ${height}: ${columns} of ${tile}`);
      const rows = Math.ceil(count / columns);
      const all = (rows * tile * 9) / 16 + (rows - 1) * 12;
      if (tile > 240 && tile < Math.floor((width - (columns - 1) * 12) / columns)) assert.ok(all <= height + rows, `${count} in ${width} × ${height}: ${all}`);
    }
  }
});

test("arrow keys go from tile to tile and stop at the edges", () => {
  const go = (at: number, key: string) => neighbour(at, key, 5, 2);
  assert.deepEqual([go(0, "ArrowRight"), go(0, "ArrowDown"), go(4, "ArrowUp"), go(4, "ArrowLeft")], [1, 2, 2, 3]);
  assert.deepEqual([go(0, "ArrowLeft"), go(0, "ArrowUp"), go(4, "ArrowRight"), go(3, "ArrowDown"), go(2, "a")], [0, 0, 4, 3, 2]);
  assert.deepEqual([go(3, "Home"), go(1, "End")], [0, 4]);
});
