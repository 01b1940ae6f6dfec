/** Errors -> answers: JSON with a stable code, the right status, never a stack trace. */
import { TidemarkError } from '../uploads/errors.ts';
import type { Handler } from './state.ts';

export function errorAnswers(): Handler {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const refusal = toRefusal(error);
      ctx.state.failure = refusal;
      ctx.status = refusal.status;
      ctx.set(refusal.headers);
      ctx.set('Cache-Control', 'no-store');
      ctx.body = {
        ...(ctx.state.errorStatus ? { status: 'error' } : {}),
        error: {
          code: refusal.code,
          message: refusal.message,
          ...(refusal.field === undefined ? {} : { field: refusal.field }),
        },
      };
    }
  };
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
