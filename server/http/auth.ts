/** Authentication: by bearer tokens (RFC 6750), compared in constant time, or by a page's ticket. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { CatalogClock } from '../uploads/contract.ts';
import { type AccessConfig, ANYONE } from '../config/config.ts';
import { SHARED_PATH } from '../wire/addresses.ts';
import { isDownload } from './file-addresses.ts';
import { unauthorized } from './refusals.ts';
import type { Handler } from './state.ts';
import { ownerOfTicket } from './tickets.ts';

export function authentication(access: AccessConfig, clock: CatalogClock): Handler {
  const known = access.tokens.map(({ owner, secret }) => ({ owner, hash: sha256(secret) }));

  return async (ctx, next) => {
    ctx.state.owner = ANYONE;
    if (known.length > 0) {
      const owner = ownerOf(ctx.get('Authorization')) ?? ownerOfTicket(ctx, access, clock);
      if (owner !== undefined) ctx.state.owner = owner;
      else if (!isOpen(ctx.method, ctx.path)) {
        throw unauthorized();
      }
    }
    await next();
  };

  /** Compares with every token, also after one has matched, so that the time it takes reveals nothing. */
  function ownerOf(header: string): string | undefined {
    const secret = /^Bearer +(\S+) *$/i.exec(header)?.[1];
    if (secret === undefined) return undefined;
    const hash = sha256(secret);
    let owner: string | undefined;
    for (const token of known) {
      if (timingSafeEqual(token.hash, hash)) owner = token.owner;
    }
    return owner;
  }

  function isOpen(method: string, path: string): boolean {
    if (path === '/healthz' || path === '/readyz' || method === 'OPTIONS') return true;
    const reading = method === 'GET' || method === 'HEAD';
    // The page itself asks the user for the token.
    if (reading && (path === '/' || path === '/file/upload' || path.startsWith('/assets/'))) return true;
    // Its secret is in the address.
    if (path.startsWith(SHARED_PATH)) return true;
    return access.publicRead && isDownload(method, path);
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
