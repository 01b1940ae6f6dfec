/** Which rows of a list are in sight, and where each begins. All rows have one height, but for a few lower ones. */

export interface RowHeights {
  usual: number;
  low: number;
}

export interface Layout {
  /** Height of the whole list in pixels. */
  readonly height: number;
  /** Where a row begins, in pixels from the top of the list. */
  readonly topOf: (index: number) => number;
  /**
   * The first and the last row to draw: those in sight, and OVERSCAN more on each side. Without any, `last` is below `first`.
   *
   * @param top - where the list begins, in pixels from the upper edge of the window.
   */
  readonly inSight: (top: number, windowHeight: number) => { first: number; last: number };
}

/** How many rows above and below those in sight are drawn. */
export const OVERSCAN = 8;

/** @param lows - the indexes of the lower rows. */
export function layOut(count: number, lows: readonly number[], { usual, low }: RowHeights): Layout {
  const less = usual - low;
  const topOf = (index: number): number => index * usual - lows.filter((each) => each < index).length * less;
  const height = topOf(count);
  // Lower rows pull those below them up: by at most so many rows of the usual height.
  const higher = Math.ceil((count * usual - height) / usual);
  return {
    height,
    topOf,
    inSight: (top, windowHeight) => ({
      first: Math.max(0, Math.floor(-top / usual) - OVERSCAN),
      last: Math.max(-1, Math.min(count - 1, Math.ceil((windowHeight - top) / usual) + higher + OVERSCAN)),
    }),
  };
}
