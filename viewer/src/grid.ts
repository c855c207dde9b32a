//! Where tiles go. Pure.

/** Narrowest tile, CSS pixels: what is narrower shows nobody. Where the room is narrower still, one fills it. */
const NARROWEST = 240;
const RATIO = 16 / 9;

/** How many columns make `count` tiles largest in a room of `width` × `height`, with `gap` between them: all in sight, if that is not too small. */
export function columnsOf(count: number, width: number, height: number, gap: number): number {
  const most = Math.max(1, Math.min(count, Math.floor((width + gap) / (NARROWEST + gap))));
  let best = { columns: 1, size: 0 };
  for (let columns = 1; columns <= most; columns++) {
    const rows = Math.ceil(count / columns);
    const size = Math.min((width - (columns - 1) * gap) / columns, ((height - (rows - 1) * gap) / rows) * RATIO);
    // Of two that differ by less than an eye sees, the wider rows: fewer of them.
    if (size >= best.size * 0.999) best = { columns, size };
  }
  // Where not all of them would be seen at a size that shows something, they are as large as they can be, and scroll.
  return best.size >= NARROWEST ? best.columns : most;
}

/** Width of a tile, so that all rows fit the height where they may. */
export function tileWidth(count: number, columns: number, width: number, height: number, gap: number): number {
  const rows = Math.ceil(count / columns);
  const wide = (width - (columns - 1) * gap) / columns;
  const fits = ((height - (rows - 1) * gap) / rows) * RATIO;
  return Math.floor(fits >= NARROWEST ? Math.min(wide, fits) : wide);
}

/** The tile that an arrow key goes to from tile `at`; the same at an edge. */
export function neighbour(at: number, key: string, count: number, columns: number): number {
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key] ?? 0;
  const to = key === "Home" ? 0 : key === "End" ? count - 1 : at + by;
  return to >= 0 && to < count ? to : at;
}
