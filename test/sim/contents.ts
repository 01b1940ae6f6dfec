/** What clients send. */
import { COLLIDING } from '../harness/collision.ts';
import { makeBytes } from '../harness/bytes.ts';
import type { Chance } from './chance.ts';

/** What all clients choose from, so that the same bytes are sent more than once. */
export function makeContents(chance: Chance): Buffer[] {
  const sizes = [0, 1, 60, 128, 300, 500];
  const made = Array.from({ length: 1 + chance.below(2) }, () => makeBytes(chance.pick(sizes), 1 + chance.below(1000)));
  return chance.happens(0.3) ? [...made, ...COLLIDING] : made;
}
