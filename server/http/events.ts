/** GET /api/events: what happens to the owner's files, as server-sent events (HTML Living Standard, section 9.2). */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Feed, FileEvent, Listening, Told } from '../outbox/feed.ts';
import { translated } from '../uploads/translate.ts';
import type { EventsJson } from '../wire/events.ts';
import { describeFile } from './file-json.ts';
import { refusal } from './refusals.ts';
import type { Handler } from './state.ts';

/** The interval of comments that keep proxies from closing a silent connection: many do after 60 seconds. */
const HEARTBEAT_MS = 15_000;
/** How long a client should wait before it connects again. */
const RETRY_MS = 2_000;
/** A client that reads nothing for so long is disconnected. It may connect again, and resumes after its last event. */
const PATIENCE_MS = 60_000;
/** When a client that is refused because of too many listeners should retry. */
const RETRY_AFTER_S = '30';

/** @param options.patienceMs - for tests. */
export function eventsRoute(
  parts: { feed: Feed; stopping: AbortSignal },
  { patienceMs = PATIENCE_MS }: { patienceMs?: number } = {},
): Handler {
  return async (ctx) => {
    const { owner, baseUrl } = ctx.state;
    const { res } = ctx;
    const head = {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      // Tells nginx not to buffer the answer.
      'X-Accel-Buffering': 'no',
    };
    if (ctx.method === 'HEAD') {
      ctx.respond = false;
      res.writeHead(200, head);
      res.end();
      return;
    }

    const listening = await translated(() => parts.feed.listen(owner, ctx.get('Last-Event-ID') || undefined));
    if (!listening) {
      throw refusal('too_many_listeners', { headers: { 'Retry-After': RETRY_AFTER_S } });
    }
    const end = (): void => {
      listening.stop();
      res.end();
    };
    // No heartbeat is needed while other bytes wait for the client.
    const heartbeat = setInterval(() => {
      if (!res.writableNeedDrain && !res.writableEnded) res.write(':\n\n');
    }, HEARTBEAT_MS);
    res.once('close', () => listening.stop());
    parts.stopping.addEventListener('abort', end, { once: true });
    try {
      ctx.respond = false;
      res.writeHead(200, head);
      res.write(`retry: ${RETRY_MS}\n\n`);
      if (parts.stopping.aborted) end();
      if (!res.closed) await sendAll(listening, res, baseUrl, patienceMs);
      if (!res.closed) await once(res, 'close');
    } catch (error) {
      ctx.state.log.warn({ err: error }, 'the events could not be read');
      res.destroy();
    } finally {
      listening.stop();
      clearInterval(heartbeat);
      parts.stopping.removeEventListener('abort', end);
    }
  };
}

/** Sends no faster than the client reads: nothing is buffered here. */
async function sendAll(listening: Listening, res: ServerResponse, baseUrl: string, patienceMs: number): Promise<void> {
  for (let told = await listening.next(); told; told = await listening.next()) {
    // The service stopped while this was being sent.
    if (res.writableEnded) return;
    if (!res.write(textOf(told, baseUrl))) await drained(res, patienceMs);
  }
}

/** Waits until the client has read what was sent. Disconnects it where that takes too long; returns then, too. */
async function drained(res: ServerResponse, patienceMs: number): Promise<void> {
  const over = new AbortController();
  const timer = setTimeout(() => res.destroy(), patienceMs);
  try {
    if (res.closed) return;
    await Promise.race(['drain', 'close'].map((name) => once(res, name, { signal: over.signal })));
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

function textOf(told: Told, baseUrl: string): string {
  if (told.kind === 'begin') return `id: ${told.id}\nevent: begin\ndata: {}\n\n`;
  return told.events.map((event) => textOfEvent(event, baseUrl)).join('');
}

/** The text of an event. Cached for all its listeners, for the latest base URL: clients rarely use two. */
function textOfEvent(event: FileEvent, baseUrl: string): string {
  const known = texts.get(event);
  if (known?.baseUrl === baseUrl) return known.text;
  const text = `id: ${event.id}\nevent: ${event.kind}\ndata: ${JSON.stringify(dataOf(event, baseUrl))}\n\n`;
  texts.set(event, { baseUrl, text });
  return text;
}

function dataOf(event: FileEvent, baseUrl: string): EventsJson[FileEvent['kind']] {
  switch (event.kind) {
    case 'moved':
      return { from: event.from, to: event.to };
    case 'deleted':
      return { id: event.file.id };
    case 'published':
      return describeFile(event.file, baseUrl, event.sent);
    case 'renamed':
      return describeFile(event.file, baseUrl);
  }
}

const texts = new WeakMap<FileEvent, { baseUrl: string; text: string }>();
