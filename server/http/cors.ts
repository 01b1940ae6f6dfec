/** Browsers of other origins may use the service: access is by token, never by cookie. */
import type { Handler } from './state.ts';

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

export function crossOrigin(): Handler {
  return async (ctx, next) => {
    // Browsers say where a page comes from; other clients need none of this in every answer.
    if (ctx.get('Origin') === '' && ctx.method !== 'OPTIONS') {
      await next();
      return;
    }
    ctx.set('Access-Control-Allow-Origin', '*');
    ctx.set('Access-Control-Expose-Headers', EXPOSED);
    if (ctx.method === 'OPTIONS') {
      ctx.set('Access-Control-Allow-Methods', 'GET, HEAD, POST, PATCH, DELETE, OPTIONS');
      ctx.set('Access-Control-Allow-Headers', ALLOWED);
      ctx.set('Access-Control-Max-Age', '86400');
      // Below /uploads OPTIONS is also how a tus client asks what the server can do.
      if (!/^\/uploads(?:\/[^/]*)?$/.test(ctx.path)) {
        ctx.status = 204;
        return;
      }
    }
    await next();
  };
}
