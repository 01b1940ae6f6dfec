/** Pages of other origins: which of them may use the service from a browser. See docs/decisions/0008-other-origins.md. */
import type { AccessConfig } from '../config/config.ts';
import { TidemarkError } from '../uploads/errors.ts';
import type { Ctx, Handler } from './state.ts';

const EXPOSED = [
  'Location',
  'Upload-Offset',
  'Upload-Length',
  'Upload-Defer-Length',
  'Upload-Metadata',
  'Upload-Expires',
  'Tus-Version',
  'Tus-Resumable',
  'Tus-Extension',
  'Tus-Max-Size',
  'Tidemark-File-Id',
  'Tidemark-File-Url',
  'Tidemark-Idle',
  'X-Request-Id',
  'Content-Range',
  'Content-Disposition',
  'Accept-Ranges',
  'ETag',
  'Retry-After',
].join(', ');

const ALLOWED = [
  'Authorization',
  'Content-Type',
  'Range',
  'If-Range',
  'If-Match',
  'If-None-Match',
  'Tus-Resumable',
  'Upload-Length',
  'Upload-Defer-Length',
  'Upload-Metadata',
  'Upload-Offset',
  'X-HTTP-Method-Override',
  'X-Requested-With',
  'X-Request-Id',
].join(', ');

/** Browsers say where a page comes from in Origin; requests without one are not concerned. */
export function crossOrigin(allowed: AccessConfig['corsOrigins']): Handler {
  return async (ctx, next) => {
    const origin = ctx.get('Origin');
    if (allowed !== '*') ctx.vary('Origin');
    const mayRead = origin !== '' && (allowed === '*' || allowed.includes(origin));
    if (mayRead) {
      ctx.set('Access-Control-Allow-Origin', allowed === '*' ? '*' : origin);
      ctx.set('Access-Control-Expose-Headers', EXPOSED);
    } else if (origin !== '' && ctx.method !== 'OPTIONS' && !isOurs(origin, ctx)) {
      // A form is sent without asking first, and what it does is done though the page cannot read the answer.
      throw new TidemarkError('origin_not_allowed', { field: 'Origin' });
    }
    if (ctx.method === 'OPTIONS') {
      if (mayRead) {
        ctx.set('Access-Control-Allow-Methods', 'GET, HEAD, POST, PATCH, DELETE, OPTIONS');
        ctx.set('Access-Control-Allow-Headers', ALLOWED);
        ctx.set('Access-Control-Max-Age', '86400');
      }
      // Below /uploads OPTIONS is also how a tus client asks what the server can do.
      if (!/^\/uploads(?:\/[^/]*)?$/.test(ctx.path)) {
        ctx.status = 204;
        return;
      }
    }
    await next();
  };
}

/** Whether it is a page of this service. The scheme is left out: TLS may end at a proxy that does not say so. */
function isOurs(origin: string, ctx: Ctx): boolean {
  if (!URL.canParse(origin)) return false;
  const { host } = new URL(origin);
  return host !== '' && (host === ctx.get('Host').toLowerCase() || host === new URL(ctx.state.baseUrl).host);
}
