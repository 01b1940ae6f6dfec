/** What is kept of a link's secret. */
import { createHash } from 'node:crypto';

/** 192 random bits, in as many characters of base64url. */
export const SECRET_BYTES = 24;
const SECRET = /^[\w-]{32}$/;

/** It has so many random bits that a fast digest is enough. Undefined where `text` is no secret of a link. */
export function hashOfSecret(text: string): string | undefined {
  return SECRET.test(text) ? createHash('sha256').update(text).digest('hex') : undefined;
}
