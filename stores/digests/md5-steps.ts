/** The steps of MD5's block function (RFC 1321, section 3.4). */

/** Length of a block. */
export const BLOCK_BYTES = 64;
export const STEPS = 64;

const ROTATIONS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
] as const;
const WORD_OF_STEP = [
  (index: number) => index,
  (index: number) => (5 * index + 1) % 16,
  (index: number) => (3 * index + 5) % 16,
  (index: number) => (7 * index) % 16,
] as const;

/** What one step does. */
export interface Step {
  /** Which of the functions F, G, H and I mixes b, c and d: 0 to 3. */
  round: number;
  /** Which word of the block is added. */
  word: number;
  rotation: number;
  addend: number;
  /** Where a, b, c and d are among the chain's four words, which take turns. */
  places: readonly [a: number, b: number, c: number, d: number];
}

/** Describes a step. @param index - from 0. */
export function stepOf(index: number): Step {
  const round = index >> 4;
  const place = (letter: number): number => (letter + STEPS - index) & 3;
  return {
    round,
    word: WORD_OF_STEP[round]?.(index) ?? 0,
    rotation: ROTATIONS[round]?.[index & 3] ?? 0,
    addend: Math.floor(Math.abs(Math.sin(index + 1)) * 2 ** 32) | 0,
    places: [place(0), place(1), place(2), place(3)],
  };
}
