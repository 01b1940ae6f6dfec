/**
 * The format of snapshots: a version byte, then for each algorithm its number, the length of its state (16 bit, big-endian)
 * and the state.
 */
import { DIGEST_ALGORITHMS, type DigestAlgorithm, SnapshotError } from './digests.ts';

const VERSION = 2;
/** Their places are their numbers. A snapshot of a version without the proof has none, and is resumed without one. */
const KINDS = [...DIGEST_ALGORITHMS, 'proof'] as const;

export type DigestStates = Map<DigestAlgorithm | 'proof', Uint8Array>;

/** Encodes the saved states of all algorithms as one snapshot. */
export function encodeSnapshot(states: DigestStates): Uint8Array {
  const pieces: Uint8Array[] = [Uint8Array.of(VERSION)];
  for (const [algorithm, state] of states) {
    const number = KINDS.indexOf(algorithm);
    pieces.push(Uint8Array.of(number, state.length >> 8, state.length & 0xff), state);
  }
  return Buffer.concat(pieces);
}

/**
 * Decodes a snapshot.
 *
 * @throws SnapshotError when it is damaged or of an unknown version.
 */
export function decodeSnapshot(snapshot: Uint8Array): DigestStates {
  if (snapshot[0] !== VERSION) throw new SnapshotError(`unknown snapshot version ${snapshot[0]}`);
  const states: DigestStates = new Map();
  let at = 1;
  while (at < snapshot.length) {
    const algorithm = KINDS[snapshot[at] ?? -1];
    const length = ((snapshot[at + 1] ?? 0) << 8) | (snapshot[at + 2] ?? 0);
    const state = snapshot.slice(at + 3, at + 3 + length);
    if (!algorithm || length === 0 || state.length !== length) {
      throw new SnapshotError('the snapshot is damaged');
    }
    states.set(algorithm, state);
    at += 3 + length;
  }
  if (!states.has('md5')) throw new SnapshotError('the snapshot has no MD5 state');
  return states;
}
