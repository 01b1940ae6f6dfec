/** Errors -> answers: JSON with a stable code, the right status, never a stack trace. */
import type { Refusal } from '../refusal.ts';
import type { ErrorJson } from '../wire/errors.ts';
import { toRefusal } from './refusals.ts';
import type { Handler } from './state.ts';

/** What was said of a file before its sending was refused; it does not hold for the refusal. */
const OF_THE_FILE = [
  'Accept-Ranges',
  'Content-Disposition',
  'Content-Length',
  'Content-Range',
  'ETag',
  'Last-Modified',
];

/** The routes whose refusals carry `status: "error"` too, as the older services' clients expect. */
const WITH_STATUS = /^\/(?:check|upload|file\/.*)$/;

export function errorAnswers(): Handler {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const refusal = toRefusal(error);
      ctx.state.failure = refusal;
      ctx.status = refusal.status;
      for (const name of OF_THE_FILE) ctx.remove(name);
      ctx.set(refusal.headers);
      ctx.set('Cache-Control', 'no-store');
      ctx.body = {
        ...(WITH_STATUS.test(ctx.path) ? { status: 'error' as const } : {}),
        ...describeRefusal(refusal),
      } satisfies ErrorJson;
    }
  };
}

/** A refusal as every answer tells it. */
export function describeRefusal({ code, message, field }: Refusal): ErrorJson {
  return { error: { code, message, ...(field === undefined ? {} : { field }) } };
}
