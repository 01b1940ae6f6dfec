/**
 * Answers that are ready while the client is still sending its body. Closing the
 * connection at once would reset it, and the client would lose the answer (RFC 9112
 * section 9.6). So the answer is sent first, then the rest of the body is read and
 * discarded, within limits.
 */
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import type { Handler } from './state.ts';

const LINGER_MS = 2_000;
const LINGER_BYTES = 64 * 1024 * 1024;

export function lingeringAnswers(): Handler {
  return async (ctx, next) => {
    await next();
    const { req, res } = ctx;
    const bodyComing =
      !req.complete && (req.headers['transfer-encoding'] ?? req.headers['content-length'] ?? '0') !== '0';
    if (!bodyComing || res.headersSent || res.destroyed || req.destroyed) return;

    const payload = ctx.method === 'HEAD' || ctx.body === null || ctx.body === undefined ? '' : toText(ctx.body);
    ctx.set('Connection', 'close');
    // Tells Koa not to send the answer itself.
    ctx.respond = false;
    if (payload !== '') res.setHeader('Content-Length', Buffer.byteLength(payload));
    res.flushHeaders();
    if (payload !== '') res.write(payload);
    await drain(req);
    res.end();
  };

  async function drain(req: NodeJS.ReadableStream & { complete: boolean; destroyed: boolean }): Promise<void> {
    const over = new AbortController();
    let bytes = 0;
    req.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > LINGER_BYTES) over.abort();
    });
    req.resume();
    const { signal } = over;
    // The first of these to settle wins; the abort below ends the others.
    await Promise.race([
      once(req, 'end', { signal }),
      once(req, 'close', { signal }),
      wait(LINGER_MS, undefined, { signal }),
    ]).catch(() => undefined);
    over.abort();
  }
}

function toText(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body);
}
