/**
 * An answer that is sent while the client still sends its body. Closing at once
 * would reset the connection and the client would lose the answer (RFC 9112 section
 * 9.6): the answer goes out first, then the rest of the body is discarded, within limits.
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
    // From here on Koa leaves the answer alone.
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
    // The first of these wins; the others reject by the abort below.
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
