/** GET /api/events: what happens to the owner's files, as server-sent events (HTML Living Standard, section 9.2). */
import { once } from 'node:events';
import { TidemarkError } from '../uploads/errors.ts';
import type { FileEvent, FileEvents } from '../uploads/events.ts';
import { describeFile } from './file-json.ts';
import type { Handler } from './state.ts';

/** Comments that keep proxies from closing a silent connection; many do after 60 seconds. */
const HEARTBEAT_MS = 15_000;
/** How long a client waits before it connects again. */
const RETRY_MS = 2_000;
/** What may wait for a client that does not read: then it is cut, and asks anew. */
const UNREAD_BYTES = 256 * 1024;
/** Of what was missed: more than this is read from the catalog by one request, not told by one event each. */
const MISSED_BYTES = UNREAD_BYTES / 2;
/** How long a client that is one too many is to wait. */
const RETRY_AFTER_S = '30';

export function eventsRoute(parts: { events: FileEvents; stopping: AbortSignal }): Handler {
  return async (ctx) => {
    const { owner, baseUrl } = ctx.state;
    const { res } = ctx;
    const head = {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      // nginx: not to be collected into a buffer.
      'X-Accel-Buffering': 'no',
    };
    if (ctx.method === 'HEAD') {
      ctx.respond = false;
      res.writeHead(200, head);
      res.end();
      return;
    }

    const end = (): void => void res.end();
    const send = (text: string): void => {
      // The service stops, and what was sent before is still on its way.
      if (res.writableEnded) return;
      res.write(text);
      if (res.writableLength > UNREAD_BYTES) res.destroy();
    };
    const listening = parts.events.listen(owner, ctx.get('Last-Event-ID') || undefined, (event) => {
      send(textOf(event, baseUrl));
    });
    if (!listening) {
      throw new TidemarkError('too_many_listeners', { headers: { 'Retry-After': RETRY_AFTER_S } });
    }
    const { missed, latestId, stop } = listening;
    const heartbeat = setInterval(() => send(':\n\n'), HEARTBEAT_MS);
    parts.stopping.addEventListener('abort', end, { once: true });
    try {
      ctx.respond = false;
      res.writeHead(200, head);
      // `begin`: what came before is in the catalog, and is not told here.
      const begin = `id: ${latestId}\nevent: begin\ndata: {}\n\n`;
      send(`retry: ${RETRY_MS}\n\n${missed === null ? begin : (told(missed, baseUrl) ?? begin)}`);
      if (parts.stopping.aborted) end();
      if (!res.closed) await once(res, 'close');
    } finally {
      stop();
      clearInterval(heartbeat);
      parts.stopping.removeEventListener('abort', end);
    }
  };
}

/** What was missed; undefined where it is too much for a client that has read none of it yet. */
function told(missed: readonly FileEvent[], baseUrl: string): string | undefined {
  let text = '';
  for (const event of missed) {
    text += textOf(event, baseUrl);
    if (text.length > MISSED_BYTES) return undefined;
  }
  return text;
}

/** An event as it is sent, made once however many listen; clients of one service rarely call it by two names. */
function textOf(event: FileEvent, baseUrl: string): string {
  const known = texts.get(event);
  if (known?.baseUrl === baseUrl) return known.text;
  const { id, kind, file } = event;
  const data = kind === 'deleted' ? { id: file.id } : describeFile(file, baseUrl);
  const text = `id: ${id}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
  texts.set(event, { baseUrl, text });
  return text;
}

const texts = new WeakMap<FileEvent, { baseUrl: string; text: string }>();
