/**
 * Passwords of links: kept as scrypt's (RFC 7914), with the parameters beside each, so that they can grow. Node computes them
 * outside of the main thread, in the threads that also read files: so one at a time for those who open links, and one for those
 * who make them, and only so many of each may wait.
 */
import { scrypt, timingSafeEqual } from 'node:crypto';
import type { Surroundings } from '../../stores/surroundings.ts';
import { LinkError } from './errors.ts';

/** OWASP's "Password Storage Cheat Sheet": one of its settings, with 16 MiB of memory. */
const COST = { N: 2 ** 14, r: 8, p: 5 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
const MOST_WAITING = 20;
const RETRY_AFTER_MS = 5_000;
const SCHEME = 'scrypt';

export interface Passwords {
  /** What is kept of a password. @throws LinkError `passwords_busy`. */
  hash(password: string): Promise<string>;
  /**
   * Takes a place among those who wait, so that a password that cannot be checked is refused before anything is done for it.
   *
   * @param use - may check one password, against what is kept of it. The place is free once it ends.
   * @throws LinkError `passwords_busy`, and `use` was not called.
   */
  inPlace<T>(use: (matches: (password: string, kept: string) => Promise<boolean>) => Promise<T>): Promise<T>;
}

/** Creates the checks of one process. */
export function createPasswords({ randomHex }: Pick<Surroundings, 'randomHex'>): Passwords {
  // Of their own: who tries passwords of links must not keep owners from making any.
  const [owners, visitors] = [createQueue(), createQueue()];

  return {
    hash: (password) =>
      owners.inPlace(async (compute) => {
        const salt = randomHex(SALT_BYTES);
        const hash = await compute(() => derive(password, salt, COST));
        return [SCHEME, COST.N, COST.r, COST.p, salt, hash.toString('hex')].join(':');
      }),

    inPlace: (use) =>
      visitors.inPlace((compute) =>
        use(async (password, kept) => {
          const [, N, r, p, salt = '', expected = ''] = kept.split(':');
          const hash = await compute(() => derive(password, salt, { N: Number(N), r: Number(r), p: Number(p) }));
          return timingSafeEqual(hash, Buffer.from(expected, 'hex'));
        }),
      ),
  };
}

/** Runs a computation once those before it have ended. */
type Compute = <T>(computation: () => Promise<T>) => Promise<T>;

interface Queue {
  /** @throws LinkError `passwords_busy` where all places are taken. */
  inPlace<T>(use: (compute: Compute) => Promise<T>): Promise<T>;
}

function createQueue(): Queue {
  let running: Promise<unknown> = Promise.resolve();
  let taken = 0;

  function compute<T>(computation: () => Promise<T>): Promise<T> {
    const mine = running.then(computation);
    running = mine.catch(() => undefined);
    return mine;
  }

  return {
    async inPlace(use) {
      if (taken >= MOST_WAITING) throw new LinkError('passwords_busy', { retryAfterMs: RETRY_AFTER_MS });
      taken += 1;
      try {
        return await use(compute);
      } finally {
        taken -= 1;
      }
    },
  };
}

function derive(password: string, salt: string, cost: typeof COST): Promise<Buffer> {
  // Keyboards write the same letters in different forms (RFC 8265 section 4.2.2).
  const text = password.normalize('NFC');
  const options = { ...cost, maxmem: 256 * cost.N * cost.r };
  return new Promise((resolve, reject) => {
    scrypt(text, Buffer.from(salt, 'hex'), HASH_BYTES, options, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}
