/** X-HTTP-Method-Override below /uploads, for clients that cannot send every method (tus 1.0.0, "X-HTTP-Method-Override"). */
import type { Handler } from './state.ts';

/**
 * Lets everything behind it see the method that is meant, whatever the request's own is;
 * one that is none is refused as such by the routes. The answer itself goes out by the
 * request's own method: what comes to a POST has a body.
 */
export function methodOverride(): Handler {
  return async (ctx, next) => {
    const wanted = ctx.get('X-HTTP-Method-Override').trim().toUpperCase();
    if (wanted === '' || !/^\/uploads(?:\/|$)/.test(ctx.path)) {
      await next();
      return;
    }
    const sent = ctx.method;
    ctx.method = wanted;
    await next();
    ctx.method = sent;
  };
}
