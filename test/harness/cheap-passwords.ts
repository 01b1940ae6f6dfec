/**
 * Passwords of links at almost no cost, for tests in which many are checked. What they really cost is paid by `http/upload-links`, and by
 * the tests of the page and the command.
 */
import crypto, { type BinaryLike, type ScryptOptions } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

/** Settings of a service whose passwords are cheap. */
export const CHEAP_PASSWORDS = {
  NODE_OPTIONS: `--import=${new URL('preload-cheap-passwords.js', import.meta.url).href}`,
};

/** The least that scrypt can cost. */
const CHEAP = { N: 2, r: 1, p: 1 };
/** About as long as it really takes: what waits for it waits all the same. */
const TAKES_MS = 200;

/** From now on scrypt takes a thousandth of the processor's time in this process, and as long as before. */
export function makePasswordsCheap(): void {
  const { scrypt } = crypto;
  const cheap = (
    password: BinaryLike,
    salt: BinaryLike,
    length: number,
    _options: ScryptOptions,
    callback: (error: Error | null, key: Buffer) => void,
  ): void => {
    scrypt(password, salt, length, CHEAP, (error, key) => setTimeout(callback, TAKES_MS, error, key));
  };
  Object.assign(crypto, { scrypt: cheap });
  syncBuiltinESMExports();
}
