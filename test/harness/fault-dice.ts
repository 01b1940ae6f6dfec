/** Random faults, the same ones for the same seed. */
import { createRandom } from '../../scripts/chaos/random.ts';
import type { Fault } from './faults.ts';
import type { S3Call, S3Operation } from './s3-call.ts';

export interface ChaosOptions {
  seed: number;
  /** Chance of a fault per call, from 0 to 1. */
  probability: number;
  /** The kinds that may happen; all by default. */
  kinds?: readonly Fault['kind'][];
  /** The calls that may be hit; all by default. */
  operations?: readonly S3Operation[];
  /** How long a stall lasts at most; 2 s by default. */
  longestStallMs?: number;
  /** The most faults of one call (operation, key, part); after those it always passes. 3 by default. */
  mostPerCall?: number;
}

const KINDS: readonly Fault['kind'][] = [
  'answer',
  'stall',
  'reset',
  'cutRequest',
  'cutAnswer',
  'loseAnswer',
  'twice',
  'flip',
  'shorten',
  'deny',
  'wrongEtag',
];
/** Calls that may be denied with NoSuchUpload. */
const OF_UPLOADS = new Set<S3Operation>([
  'UploadPart',
  'UploadPartCopy',
  'ListParts',
  'CompleteMultipartUpload',
  'AbortMultipartUpload',
]);
const STATUSES = [500, 503, 429];
const IN_A_MILLION = 1_000_000;

/**
 * Decides for each call whether it fails, and how. The fate of the nth call of an operation and part depends only on the seed,
 * in whatever order calls of other kinds arrive.
 */
export function createDice(options: ChaosOptions): (call: S3Call) => Fault | undefined {
  const { seed, probability, kinds = KINDS, operations, longestStallMs = 2000, mostPerCall = 3 } = options;
  const seen = new Map<string, number>();
  const hit = new Map<string, number>();
  return (call) => {
    if (operations && !operations.includes(call.operation)) return undefined;
    const sort = `${call.operation} ${call.partNumber ?? ''}`;
    const occurrence = (seen.get(sort) ?? 0) + 1;
    seen.set(sort, occurrence);
    const random = createRandom(hash(`${seed} ${sort} ${occurrence}`));
    if (random.between(1, IN_A_MILLION) > probability * IN_A_MILLION) return undefined;
    const same = `${sort} ${call.key}`;
    const hits = (hit.get(same) ?? 0) + 1;
    if (hits > mostPerCall) return undefined;
    hit.set(same, hits);
    const kind = random.pick(kinds);
    switch (kind) {
      case 'answer':
        return { kind, status: random.pick(STATUSES) };
      // Gives false answers only where a service can find out that they are false.
      case 'flip':
        return isTail(call) && call.operation === 'GetObject' ? { kind } : undefined;
      case 'shorten':
        if (!isTail(call) || call.operation !== 'GetObject') return undefined;
        return { kind, byBytes: random.pick([1, random.between(1, 1024 * 1024)]) };
      case 'deny':
        return deny(call);
      case 'wrongEtag':
        return call.operation === 'UploadPart' ? { kind } : undefined;
      case 'stall':
        return { kind, at: random.pick(['request', 'answer']), forMs: random.between(1, longestStallMs) };
      case 'cutRequest':
      case 'cutAnswer':
        // After no byte, a few, or many of a part.
        return { kind, afterBytes: random.pick([0, random.between(1, 1000), random.between(1000, 8 * 1024 * 1024)]) };
      case 'twice':
        return { kind, answer: random.pick(['first', 'second']) };
      case 'reset':
      case 'late':
      case 'doubled':
      case 'loseAnswer':
        return { kind };
    }
  };
}

/** Whether the object is a tail. Downloads of contents are not damaged: neither service nor client could notice. */
function isTail({ key }: S3Call): boolean {
  return key.includes('tails/');
}

function deny(call: S3Call): Fault | undefined {
  if (OF_UPLOADS.has(call.operation)) return { kind: 'deny', code: 'NoSuchUpload' };
  const isHit = call.operation === 'HeadObject' || (call.operation === 'GetObject' && isTail(call));
  return isHit ? { kind: 'deny', code: 'NoSuchKey' } : undefined;
}

/** FNV-1a */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (const char of text) state = Math.imul(state ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return state >>> 0;
}
