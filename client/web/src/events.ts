/** Server-sent events over fetch, which can carry a token; see GET /api/events. */
import type { EventName, EventsJson } from '../../../server/wire/events.ts';
import type { FileJson } from '../../../server/wire/files.ts';
import { ApiError, request } from './api.ts';

export interface FileEventsListener {
  /** What happened until now is in the catalog only: look there. */
  onBegin(): void;
  onPublished(file: FileJson): void;
  onRenamed(file: FileJson): void;
  onDeleted(id: string): void;
}

const RETRY_MS = 2_000;
/** Too many listen already: a place is free when one of them leaves. */
const CROWDED_MS = 30_000;
/** The service says something every 15 seconds: a line that is silent for so long is dead. */
const SILENCE_MS = 40_000;

/** Listens while the page is in sight: a browser has six connections for all its tabs. */
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
        // Without a token it begins again when there is one.
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
  /** Undefined where the service only says that it is there. */
  name: string | undefined;
  data: string;
}

/** The blocks of text between empty lines, each when it is whole. @param heard - told of all that comes. */
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
  // A later release of the service may tell of more than this page knows.
  switch (name as EventName | undefined) {
    case undefined:
      break;
    case 'begin':
      listener.onBegin();
      break;
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
