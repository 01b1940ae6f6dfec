/** Server-sent events over fetch, which can carry a token; see GET /api/events. */
import type { EventName, EventsJson } from '../../../server/wire/events.ts';
import type { FileJson } from '../../../server/wire/files.ts';
import { ApiError, request } from './api.ts';

export interface FileEventsListener {
  /** Events from before this moment were missed: the catalog has to be read again. */
  onBegin(): void;
  onPublished(file: FileJson): void;
  onRenamed(file: FileJson): void;
  onDeleted(id: string): void;
  /** A folder has another path, and with it all that is below it. */
  onMoved(from: string, to: string): void;
}

const RETRY_MS = 2_000;
/** The wait after 429: the service has too many listeners, and one of them has to leave first. */
const CROWDED_MS = 30_000;
/** The service sends a heartbeat every 15 seconds: a connection that is silent for longer than this is dead. */
const SILENCE_MS = 40_000;

/**
 * Listens while the page is visible: a browser has only six connections for all tabs of a service.
 *
 * @returns `wake`, which connects at once where no connection is open.
 */
export function listenToEvents(listener: FileEventsListener): { wake: () => void } {
  let latestId: string | null = null;
  let connection: AbortController | null = null;
  let timer: number | undefined;

  function open(): void {
    clearTimeout(timer);
    if (connection || document.hidden) return;
    const current = new AbortController();
    connection = current;
    void run(current)
      .catch((error: unknown) => error)
      .then((error) => {
        if (connection === current) connection = null;
        // A token is missing: main.ts calls `wake` once there is one.
        if (error instanceof ApiError && error.status === 401) return;
        const crowded = error instanceof ApiError && error.status === 429;
        if (!connection && !document.hidden) timer = window.setTimeout(open, crowded ? CROWDED_MS : RETRY_MS);
      });
  }

  async function run(current: AbortController): Promise<void> {
    const headers = latestId === null ? {} : { 'Last-Event-ID': latestId };
    let silence: number | undefined;
    const heard = (): void => {
      clearTimeout(silence);
      silence = window.setTimeout(() => current.abort(), SILENCE_MS);
    };
    heard();
    try {
      const { body } = await request('api/events', { signal: current.signal, headers });
      for await (const block of readBlocks(body, heard)) {
        const event = parseEvent(block);
        latestId = event.id ?? latestId;
        tell(listener, event);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) open();
    else {
      connection?.abort();
      connection = null;
    }
  });
  open();
  return { wake: open };
}

interface ServerEvent {
  id: string | undefined;
  /** Undefined for a heartbeat. */
  name: string | undefined;
  data: string;
}

/** Yields the blocks of text between empty lines, each once it is complete. @param heard - called for all that arrives. */
async function* readBlocks(
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
  heard: () => void,
): AsyncGenerator<string> {
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value } = (await reader?.read()) ?? {};
    if (value === undefined) return;
    heard();
    const blocks = (text + value).split('\n\n');
    text = blocks.pop() ?? '';
    yield* blocks;
  }
}

function parseEvent(block: string): ServerEvent {
  const fields = new Map(
    block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as const),
  );
  return { id: fields.get('id'), name: fields.get('event'), data: fields.get('data') ?? '{}' };
}

function tell(listener: FileEventsListener, { name, data }: ServerEvent): void {
  // Events of other names are ignored: a later release of the service may have them.
  switch (name as EventName | undefined) {
    case undefined:
      break;
    case 'begin':
      listener.onBegin();
      break;
    case 'moved': {
      const { from, to } = JSON.parse(data) as EventsJson['moved'];
      listener.onMoved(from, to);
      break;
    }
    case 'published':
      listener.onPublished(JSON.parse(data) as EventsJson['published']);
      break;
    case 'renamed':
      listener.onRenamed(JSON.parse(data) as EventsJson['renamed']);
      break;
    case 'deleted':
      listener.onDeleted((JSON.parse(data) as EventsJson['deleted']).id);
  }
}
