/** One line of log for each request, at its end. */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { Refusal } from '../refusal.ts';
import type { Ctx, Handler } from './state.ts';

/** What supervisors and load balancers ask. */
const PROBES = new Set(['/healthz', '/readyz']);

/** Gives each request an id, kept from a proxy's X-Request-Id where that is sane, and logs it. */
export function requestLog(log: Logger): Handler {
  /** What a kept connection had read and written when its last request ended: a request's head is read before this runs. */
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
      // After both: when a client has left, the routes find out later which upload its request was about.
      closed
        .then((measured) => writeLine(ctx, measured))
        // A line that cannot be written does not end the service, and there is nowhere to report it.
        .catch(() => undefined);
    }
  };
}

function writeLine(ctx: Ctx, measured: Record<string, unknown>): void {
  const { res, state } = ctx;
  const { failure } = state;
  const ours = failure instanceof Refusal && failure.status >= 500;
  const line = {
    method: ctx.method,
    path: ctx.path,
    status: res.headersSent ? res.statusCode : undefined,
    ...measured,
    uploadId: state.uploadId,
    owner: state.owner,
    ...(res.writableFinished || ours ? {} : { clientGone: true }),
    ...(failure instanceof Refusal ? { code: failure.code } : {}),
  };
  // Logged with its cause where the service is at fault; a client that left is no fault.
  if (ours) state.log.warn({ ...line, err: failure }, 'request');
  // Asked every few seconds for as long as the service runs; only a failing check is logged.
  else if (PROBES.has(ctx.path) && res.statusCode < 400) state.log.debug(line, 'request');
  else state.log.info(line, 'request');
}
