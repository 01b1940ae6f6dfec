/** X-HTTP-Method-Override below /uploads and for uploads by links, for clients that cannot send every method (tus 1.0.0, "X-HTTP-Method-Override"). */
import type { Handler } from './state.ts';

/**
 * Replaces the request's method by the one in the header, for all middleware behind it;
 * the routes refuse an unknown one. Restores the method before Koa sends the answer, as
 * only the method that was sent decides whether an answer has a body.
 */
export function methodOverride(): Handler {
  return async (ctx, next) => {
    const wanted = ctx.get('X-HTTP-Method-Override').trim().toUpperCase();
    if (wanted === '' || !/^(?:\/s\/[^/]+)?\/uploads(?:\/|$)/.test(ctx.path)) {
      await next();
      return;
    }
    const sent = ctx.method;
    ctx.method = wanted;
    await next();
    ctx.method = sent;
  };
}
