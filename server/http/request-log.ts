/** Logs one line for each request, when it has ended. */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { Refusal } from '../refusal.ts';
import type { Ctx, Handler } from './state.ts';

/** The paths that supervisors and load balancers request. */
const PROBES = new Set(['/healthz', '/readyz']);

/** Gives each request an id (a proxy's X-Request-Id where that is valid), and logs the request. */
export function requestLog(log: Logger): Handler {
  /**
   * How many bytes a connection had read and written when its last request ended. Counted from there, as the head of a
   * request is read before this middleware runs.
   */
  const counted = new WeakMap<Socket, { read: number; written: number }>();

  return async (ctx, next) => {
    const given = ctx.get('X-Request-Id');
    ctx.state.requestId = /^[\w.:-]{1,100}$/.test(given) ? given : randomUUID();
    ctx.state.log = log.child({ requestId: ctx.state.requestId });
    ctx.set('X-Request-Id', ctx.state.requestId);

    const { socket } = ctx.req;
    const startedAt = performance.now();
    const before = counted.get(socket) ?? { read: 0, written: 0 };
    const closed = new Promise<Record<string, unknown>>((resolve) => {
      ctx.res.once('close', () => {
        counted.set(socket, { read: socket.bytesRead, written: socket.bytesWritten });
        resolve({
          durationMs: Math.round(performance.now() - startedAt),
          bytesIn: socket.bytesRead - before.read,
          bytesOut: socket.bytesWritten - before.written,
        });
      });
    });
    try {
      await next();
    } finally {
      // Written once the routes are done and the response is closed: where a client leaves early, the routes may learn only
      // afterwards which upload its request was about.
      closed
        .then((measured) => writeLine(ctx, measured))
        // There is nowhere to report that a line could not be written, and it must not end the service.
        .catch(() => undefined);
    }
  };
}

/**
 * Up to where secrets of links stand. However it was typed: in another letter case, escaped, with a slash too many, or below a
 * path that a proxy should have removed. All after it is taken for the secret, but for what may follow one.
 */
const SECRET = /(?<=(?:\/|%2f)(?:s|%[57]3)(?:\/|%2f)).*?(?=(?:\/files\/\d+|\/archive|\/uploads\/[\da-f-]{1,64})?$)/i;

/** The path without the secret of a link: who reads the log shall not have the files. */
function shownPath(path: string): string {
  return path.replace(SECRET, '<secret>');
}

function writeLine(ctx: Ctx, measured: Record<string, unknown>): void {
  const { res, state } = ctx;
  const { failure } = state;
  const ours = failure instanceof Refusal && failure.status >= 500;
  const line = {
    method: ctx.method,
    path: shownPath(ctx.path),
    status: res.headersSent ? res.statusCode : undefined,
    ...measured,
    uploadId: state.uploadId,
    linkId: state.linkId,
    owner: state.owner,
    ...(res.writableFinished || ours ? {} : { clientGone: true }),
    ...(failure instanceof Refusal ? { code: failure.code } : {}),
  };
  // Where the service is at fault, the line has the error with its cause.
  if (ours) state.log.warn({ ...line, err: failure }, 'request');
  // Probes arrive every few seconds: at the usual level, only failing ones are logged.
  else if (PROBES.has(ctx.path) && res.statusCode < 400) state.log.debug(line, 'request');
  else state.log.info(line, 'request');
}
