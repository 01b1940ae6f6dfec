/**
 * Passwords of links: kept as scrypt's (RFC 7914), with the parameters beside each, so that they can grow. Node computes them
 * outside of the main thread, in the threads that also read files: so one at a time, and only so many may wait for it.
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
/** A password that no client can send: of a link that does not exist, the same computation is made. */
const NOBODYS = `${SCHEME}:${COST.N}:${COST.r}:${COST.p}:${'00'.repeat(SALT_BYTES)}:${'00'.repeat(HASH_BYTES)}`;

export interface Passwords {
  /** What is kept of a password. @throws LinkError `passwords_busy`; as `matches`. */
  hash(password: string): Promise<string>;
  /** @param kept - null: there is none, and the answer is no, after the same time. */
  matches(password: string, kept: string | null): Promise<boolean>;
}

/** Creates the checks of one process. */
export function createPasswords({ randomHex }: Pick<Surroundings, 'randomHex'>): Passwords {
  let running: Promise<unknown> = Promise.resolve();
  let waiting = 0;

  async function inTurn<T>(compute: () => Promise<T>): Promise<T> {
    if (waiting >= MOST_WAITING) throw new LinkError('passwords_busy', { retryAfterMs: RETRY_AFTER_MS });
    waiting += 1;
    const mine = running.then(compute);
    running = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      waiting -= 1;
    }
  }

  return {
    async hash(password) {
      const salt = randomHex(SALT_BYTES);
      const hash = await inTurn(() => derive(password, salt, COST));
      return [SCHEME, COST.N, COST.r, COST.p, salt, hash.toString('hex')].join(':');
    },

    async matches(password, kept) {
      const [, N, r, p, salt = '', expected = ''] = (kept ?? NOBODYS).split(':');
      const hash = await inTurn(() => derive(password, salt, { N: Number(N), r: Number(r), p: Number(p) }));
      return timingSafeEqual(hash, Buffer.from(expected, 'hex')) && kept !== null;
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
