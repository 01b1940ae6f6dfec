import { get, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type RunningService, startService } from '../support/service.ts';
import { send } from '../support/tus.ts';
import { bearer, putFile, raw } from './support.ts';
import { makeBytes, md5 } from '../support/bytes.ts';

const ANNA = bearer('annas-secret-1');
const BERT = bearer('berts-secret-2');

let service: RunningService;
beforeAll(async () => {
  service = await startService({
    env: { AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2', IDLE_TIMEOUT: '1s' },
  });
});
afterAll(() => service.stop());

interface Stream {
  response: IncomingMessage;
  text(): string;
  /** Resolves when this was heard. */
  until(words: RegExp): Promise<RegExpExecArray>;
  ended: Promise<void>;
}

function listen(on: RunningService, headers: Record<string, string>): Promise<Stream> {
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

describe('GET /api/events', () => {
  test('it tells the owner, and nobody else, what is published, renamed and deleted', async () => {
    const [anna, bert] = [await listen(service, ANNA), await listen(service, BERT)];
    expect(anna.response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
    });
    await Promise.all([anna.until(/event: begin/), bert.until(/event: begin/)]);
    const bytes = makeBytes(1_000, 601);
    const { fileId } = await putFile(service.url, bytes, { filename: 'ebb.txt' }, ANNA);
    const [, data = ''] = await anna.until(/event: published\ndata: (.*)\n\n/);
    expect(JSON.parse(data)).toMatchObject({ id: fileId, name: 'ebb.txt', size: 1_000 });

    const check = `${service.url}/check?md5=${md5(bytes)}&filename=flood.txt`;
    await send('GET', check, { headers: ANNA });
    await send('GET', check, { headers: ANNA });
    await anna.until(/event: published\ndata: .*flood\.txt/);
    await send('PATCH', `${service.url}/api/files/${fileId}`, {
      headers: { ...ANNA, 'Content-Type': 'application/json' },
      body: '{"name": "neap.txt"}',
    });
    await anna.until(/event: renamed\ndata: .*neap\.txt/);
    await send('DELETE', `${service.url}/api/files/${fileId}`, { headers: ANNA });
    await anna.until(new RegExp(`event: deleted\\ndata: {"id":"${fileId}"}`));
    expect(anna.text().match(/^event: /gm)).toHaveLength(5);

    await putFile(service.url, 'berts own', { filename: 'bert.txt' }, BERT);
    await bert.until(/bert\.txt/);
    expect(bert.text()).not.toMatch(/ebb|flood|neap|deleted/);
    expect(anna.text()).not.toContain('bert.txt');
  });

  test('who comes back is told what was missed; with an id of another run, to look anew', async () => {
    const first = await listen(service, ANNA);
    const [, id = ''] = await first.until(/id: (\S+)\nevent: begin/);
    first.response.destroy();
    await putFile(service.url, 'missed', { filename: 'missed.txt' }, ANNA);
    const second = await listen(service, { ...ANNA, 'Last-Event-ID': id });
    await second.until(/event: published\ndata: .*missed\.txt/);
    expect(second.text()).not.toContain('event: begin');
    for (const stranger of ['elsewhere-3', 'x', '-1', `${id}0`, '%00']) {
      const other = await listen(service, { ...ANNA, 'Last-Event-ID': stranger });
      await other.until(/event: begin/);
      expect(other.text()).not.toContain('missed.txt');
    }
  });

  test('a stream on which nothing happens outlives IDLE_TIMEOUT', async () => {
    const stream = await listen(service, ANNA);
    await stream.until(/event: begin/);
    // Connections on which nothing is asked are closed by then, one after the other.
    for (let i = 0; i < 2; i++) await raw(service, '');
    await putFile(service.url, 'later', { filename: 'later.txt' }, ANNA);
    await stream.until(/later\.txt/);
  });

  test('it ends when the service stops, which does not wait for it', async () => {
    const stopped = await startService({ env: { SHUTDOWN_TIMEOUT: '90s' } });
    onTestFinished(() => stopped.stop());
    const stream = await listen(stopped, {});
    await stream.until(/event: begin/);
    const before = Date.now();
    expect(await stopped.kill('SIGTERM')).toBe(0);
    expect(Date.now() - before).toBeLessThan(30_000);
    await stream.ended;
    expect(stopped.output()).not.toContain('were cut');
  });

  test('HEAD has no events', async () => {
    const answer = await send('HEAD', `${service.url}/api/events`, { headers: ANNA });
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8']);
  });
});
