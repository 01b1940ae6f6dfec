/** Which rows of a list are in sight, and where each begins: pure arithmetic. Rows have one height, but for a few lower ones. */

export interface RowHeights {
  usual: number;
  low: number;
}

export interface Layout {
  /** Of all rows. */
  readonly height: number;
  /** Where a row begins. */
  readonly topOf: (index: number) => number;
  /**
   * The first and the last row in sight, and some beyond; where there are none, `last` comes before `first`.
   *
   * @param top - where the list begins, seen from the upper edge of the window.
   */
  readonly inSight: (top: number, windowHeight: number) => { first: number; last: number };
}

/** Rows above and below those in sight. */
export const OVERSCAN = 8;

/** @param lows - the indexes of the lower rows. */
export function layOut(count: number, lows: readonly number[], { usual, low }: RowHeights): Layout {
  const less = usual - low;
  const topOf = (index: number): number => index * usual - lows.filter((each) => each < index).length * less;
  const height = topOf(count);
  // By how many rows of the usual height a row may stand higher than its place.
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
