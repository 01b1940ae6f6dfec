/** Turns errors into answers: JSON with a stable code and the right status, never a stack trace. */
import type { Refusal } from '../refusal.ts';
import type { ErrorJson } from '../wire/errors.ts';
import { toRefusal } from './refusals.ts';
import type { Handler } from './state.ts';

/** Headers about a file that may have been set before an error: they must not be in the refusal. */
export const OF_THE_FILE: readonly string[] = [
  'Accept-Ranges',
  'Content-Disposition',
  'Content-Length',
  'Content-Range',
  'ETag',
  'Last-Modified',
];

/** The routes whose refusals also have `status: "error"`, which clients of the older services expect. */
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

/** The JSON of a refusal. */
export function describeRefusal({ code, message, field }: Refusal): ErrorJson {
  return { error: { code, message, ...(field === undefined ? {} : { field }) } };
}
