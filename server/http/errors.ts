/** Errors -> answers: JSON with a stable code, the right status, never a stack trace. */
import { TidemarkError } from '../uploads/errors.ts';
import type { ErrorJson } from '../wire/errors.ts';
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
export function describeRefusal({ code, message, field }: TidemarkError): ErrorJson {
  return { error: { code, message, ...(field === undefined ? {} : { field }) } };
}

function toRefusal(error: unknown): TidemarkError {
  if (error instanceof TidemarkError) return error;
  // Koa and its parts throw HttpError; those below 500 speak of the request.
  const status = error instanceof Error && 'status' in error ? error.status : undefined;
  if (status === 404) return new TidemarkError('not_found', { cause: error });
  if (status === 405) return new TidemarkError('method_not_allowed', { cause: error });
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new TidemarkError('invalid_request', { cause: error });
  }
  return new TidemarkError('internal', { cause: error });
}
