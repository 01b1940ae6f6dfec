/**
 * Challenges: which bytes of a content a client has to show so that it counts as having it. Nothing of them is stored, and every
 * node accepts those of the others. They depend on what a client claims, and on nothing that the service has: they look the same
 * for contents that are here and that are not. See docs/decisions/0064.
 */
import { createCipheriv, createHmac, hash, timingSafeEqual } from 'node:crypto';
import type { CatalogClock } from '../catalog/catalog.ts';

/** What a client claims to have. */
export interface Claim {
  owner: string;
  md5: string;
  size: number;
  sha256: string;
}

/** The bytes from `start` up to `end`, which is not part of it. */
export interface ShownRange {
  readonly start: number;
  readonly end: number;
}

export interface Challenge {
  /** Names the challenge, and is the key of its codes. */
  readonly token: string;
  /** In order; they do not overlap. */
  readonly ranges: readonly ShownRange[];
}

export interface Challenges {
  /** The challenge for a claim of at least one byte. @param nonce - 32 hexadecimal digits, never used before. */
  issue(claim: Claim, nonce: string): Challenge;
  /** The challenge that a token names; undefined where it was not issued for this claim, or has expired. */
  open(claim: Claim, token: string): Challenge | undefined;
}

/** How long a client may take to read the bytes and answer. */
export const CHALLENGE_LIFE_MS = 5 * 60_000;

const RANGE_BYTES = 64 * 1024;
/** With `RANGE_BYTES`: a content of up to 16 MiB is shown as a whole, and of a larger one no more than that. */
const MOST_RANGES = 256;
/** For so long an owner gets the same ranges of a content: who lacks some bytes cannot ask until none of them is among the ranges. */
const SAME_RANGES_MS = 24 * 3_600_000;

const TIME_BYTES = 6;
const NONCE_BYTES = 16;
const SIGNATURE_BYTES = 16;
const TOKEN = new RegExp(`^[0-9a-f]{${2 * (TIME_BYTES + NONCE_BYTES + SIGNATURE_BYTES)}}$`);
/** 64 bits: they can only be guessed by asking. */
const CODE_DIGITS = 16;
/** A random number of this many bytes takes a remainder: far more than a file has bytes, so all of them are equally likely. */
const DRAW_BYTES = 8;

/** @param secret - of the catalog. */
export function createChallenges(secret: string, clock: CatalogClock): Challenges {
  const key = hash('sha256', `tidemark possession ${secret}`, 'buffer');
  const mac = (use: string, ...fields: unknown[]): Buffer =>
    createHmac('sha256', key)
      .update(JSON.stringify([use, ...fields]))
      .digest();

  function sign({ owner, md5, size, sha256 }: Claim, head: Buffer): Buffer {
    return mac('token', owner, md5, size, sha256, head.toString('hex')).subarray(0, SIGNATURE_BYTES);
  }

  /** The SHA-256 decides nothing here: a client can claim any, and each would be another draw. */
  function challengeOf({ owner, md5, size }: Claim, issuedAt: number, token: string): Challenge {
    const period = Math.floor(issuedAt / SAME_RANGES_MS);
    return { token, ranges: drawRanges(size, mac('ranges', owner, md5, size, period)) };
  }

  return {
    issue(claim, nonce) {
      const issuedAt = clock.latest();
      const head = Buffer.alloc(TIME_BYTES + NONCE_BYTES);
      head.writeUIntBE(issuedAt, 0, TIME_BYTES);
      head.write(nonce, TIME_BYTES, 'hex');
      return challengeOf(claim, issuedAt, Buffer.concat([head, sign(claim, head)]).toString('hex'));
    },

    open(claim, token) {
      if (!TOKEN.test(token)) return undefined;
      const bytes = Buffer.from(token, 'hex');
      const head = bytes.subarray(0, -SIGNATURE_BYTES);
      if (!timingSafeEqual(bytes.subarray(-SIGNATURE_BYTES), sign(claim, head))) return undefined;
      const issuedAt = head.readUIntBE(0, TIME_BYTES);
      if (issuedAt + CHALLENGE_LIFE_MS <= clock.earliest()) return undefined;
      return challengeOf(claim, issuedAt, token);
    },
  };
}

/**
 * Cuts the bytes into strata of equal size, and draws a range from each: where more than two strata on end are missing, one
 * of the ranges is for certain.
 *
 * @param seed - decides the draw: 32 bytes.
 */
function drawRanges(size: number, seed: Buffer): ShownRange[] {
  const count = Math.min(MOST_RANGES, Math.ceil(size / RANGE_BYTES));
  const step = Math.max(RANGE_BYTES, Math.floor(size / MOST_RANGES));
  const drawn = createCipheriv('aes-256-ctr', seed, Buffer.alloc(16)).update(Buffer.alloc(count * DRAW_BYTES));
  return Array.from({ length: count }, (_, index) => {
    const from = index * step;
    const to = index === count - 1 ? size : from + step;
    const places = Math.max(0, to - from - RANGE_BYTES) + 1;
    const start = from + Number(drawn.readBigUInt64LE(index * DRAW_BYTES) % BigInt(places));
    return { start, end: Math.min(to, start + RANGE_BYTES) };
  });
}

/** Computes the code of a range from its bytes. */
export interface RangeCode {
  add(bytes: Uint8Array): void;
  /** 16 hexadecimal digits. */
  end(): string;
}

/** Begins the code of a range: HMAC-SHA256 with the token as its key, of which the first 64 bits count. */
export function beginCode({ token }: Pick<Challenge, 'token'>): RangeCode {
  const hmac = createHmac('sha256', token);
  return {
    add: (bytes) => void hmac.update(bytes),
    end: () => hmac.digest('hex').slice(0, CODE_DIGITS),
  };
}

/** Whether two codes are equal; takes as long where they differ late as where they differ at once. */
export function areCodesEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
