/** Who may do what: tokens and their owners, and the origins of pages. */
import { ANYONE } from './config.ts';

/** Shorter secrets can be guessed. */
const MIN_SECRET_LENGTH = 8;

export interface Token {
  owner: string;
  secret: string;
}

/**
 * Reads `name:secret,name:secret`. A name may occur twice, so that its secret can be
 * changed without an interruption. Messages name an entry by its position only: what
 * stands in the place of a name may be a secret.
 *
 * @param problem - called once for each invalid entry.
 * @returns the valid entries.
 */
export function parseTokens(text: string, problem: (message: string) => void): Token[] {
  const tokens: Token[] = [];
  for (const [index, entry] of text.split(',').entries()) {
    const separator = entry.indexOf(':');
    const owner = separator < 0 ? '' : entry.slice(0, separator).trim();
    const secret = entry.slice(separator + 1).trim();
    const which = `entry ${index + 1}`;
    if (separator < 0) problem(`${which} must be name:secret`);
    else if (!/^[A-Za-z0-9._-]{1,64}$/.test(owner)) {
      problem(`${which}: the name must be 1 to 64 letters, digits, dots, hyphens or underscores`);
    } else if (owner === ANYONE) problem(`${which}: the name ${ANYONE} is reserved for services without tokens`);
    else if (secret.length < MIN_SECRET_LENGTH || !/^[\x21-\x7e]+$/.test(secret)) {
      problem(`${which}: the secret must be at least ${MIN_SECRET_LENGTH} printable ASCII characters without spaces`);
    } else if (tokens.some((token) => token.secret === secret)) {
      problem(`${which}: another entry has the same secret`);
    } else tokens.push({ owner, secret });
  }
  return tokens;
}

/**
 * Accepts an origin as browsers send it (RFC 6454 section 6.2): scheme, host and port, no path.
 *
 * @returns the origin as browsers send it; undefined where `text` is none.
 */
export function parseOrigin(text: string): string | undefined {
  const bare = text.replace(/\/$/, '').toLowerCase();
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@*]+$/.test(bare) || !URL.canParse(bare)) return undefined;
  // Apps have schemes of their own, for which the URL class knows no origin.
  return /^https?:/.test(bare) ? new URL(bare).origin : bare;
}
