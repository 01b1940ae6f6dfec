/** A client of GET /api/events: what it has heard so far, and when it hears what a test waits for. */
import { get, type IncomingMessage } from 'node:http';
import { onTestFinished } from 'vitest';

export interface Stream {
  response: IncomingMessage;
  text(): string;
  /** Resolves when this was heard. */
  until(words: RegExp): Promise<RegExpExecArray>;
  ended: Promise<void>;
}

/** Listens until the test has finished. */
export function listen(on: { url: string }, headers: Record<string, string>): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const request = get(`${on.url}/api/events`, { headers }, (response) => {
      let text = '';
      const heard = new Set<() => void>();
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        for (const look of heard) look();
      });
      response.on('error', () => undefined);
      onTestFinished(() => void request.destroy());
      resolve({
        response,
        text: () => text,
        ended: new Promise((end) => response.on('close', () => end())),
        until: (words) =>
          new Promise((found) => {
            const look = (): void => {
              const match = words.exec(text);
              if (!match) return;
              heard.delete(look);
              found(match);
            };
            heard.add(look);
            look();
          }),
      });
    });
    request.on('error', reject);
  });
}

export interface HeardEvent {
  id: string;
  kind: string;
  data: { id: string; name?: string; sha1?: string };
}

/** The events in what was heard, in their order. */
export function eventsIn(text: string): HeardEvent[] {
  return [...text.matchAll(/^id: (\S+)\nevent: (\w+)\ndata: (.*)\n\n/gm)].map(([, id = '', kind = '', data = '']) => ({
    id,
    kind,
    data: JSON.parse(data) as HeardEvent['data'],
  }));
}

/** Where an owner's events stand now. */
export async function cursorNow(on: { url: string }, headers: Record<string, string> = {}): Promise<string> {
  const stream = await listen(on, headers);
  const [, id = ''] = await stream.until(/id: (\S+)\nevent: begin/);
  stream.response.destroy();
  return id;
}
