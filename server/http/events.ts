/** GET /api/events: what happens to the owner's files, as server-sent events (HTML Living Standard, section 9.2). */
import { once } from 'node:events';
import type { FileEvent, FileEvents } from '../uploads/events.ts';
import { describeFile } from './file-json.ts';
import type { Handler } from './state.ts';

/** Comments that keep proxies from closing a silent connection; many do after 60 seconds. */
const HEARTBEAT_MS = 15_000;
/** How long a client waits before it connects again. */
const RETRY_MS = 2_000;
/** What may wait for a client that does not read: then it is cut, and asks anew. */
const UNREAD_BYTES = 256 * 1024;

export function eventsRoute(parts: { events: FileEvents; stopping: AbortSignal }): Handler {
  return async (ctx) => {
    const { owner, baseUrl } = ctx.state;
    const { res } = ctx;
    ctx.respond = false;
    res.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      // nginx: not to be collected into a buffer.
      'X-Accel-Buffering': 'no',
    });
    if (ctx.method === 'HEAD') {
      res.end();
      return;
    }

    const end = (): void => void res.end();
    const send = (text: string): void => {
      res.write(text);
      if (res.writableLength > UNREAD_BYTES) res.destroy();
    };
    const tell = ({ id, kind, file }: FileEvent): void => {
      const data = kind === 'deleted' ? { id: file.id } : describeFile(file, baseUrl);
      send(`id: ${id}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`);
    };
    const heartbeat = setInterval(() => send(':\n\n'), HEARTBEAT_MS);
    const { missed, latestId, stop } = parts.events.listen(owner, ctx.get('Last-Event-ID') || undefined, tell);
    parts.stopping.addEventListener('abort', end, { once: true });
    try {
      send(`retry: ${RETRY_MS}\n\n`);
      // `begin`: what came before is in the catalog, and is not told here.
      if (missed === null) send(`id: ${latestId}\nevent: begin\ndata: {}\n\n`);
      else for (const event of missed) tell(event);
      if (parts.stopping.aborted) end();
      if (!res.closed) await once(res, 'close');
    } finally {
      stop();
      clearInterval(heartbeat);
      parts.stopping.removeEventListener('abort', end);
    }
  };
}
