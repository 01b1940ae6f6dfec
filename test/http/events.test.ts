import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import Koa from 'koa';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { eventsRoute } from '../../server/http/events.ts';
import type { RequestState } from '../../server/http/state.ts';
import { openOutbox } from '../outbox/support.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { cursorNow, eventsIn, listen } from './event-stream.ts';
import { bearer, putFile, raw } from './support.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';

const ANNA = bearer('annas-secret-1');
const BERT = bearer('berts-secret-2');

let service: RunningService;
beforeAll(async () => {
  service = await startService({
    env: { AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2', IDLE_TIMEOUT: '1s' },
  });
});
afterAll(() => service.stop());

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

  test('a client that reconnects is told what it missed; one with another owner’s id is told to begin anew', async () => {
    const first = await listen(service, ANNA);
    const [, id = ''] = await first.until(/id: (\S+)\nevent: begin/);
    first.response.destroy();
    await putFile(service.url, 'missed', { filename: 'missed.txt' }, ANNA);
    const second = await listen(service, { ...ANNA, 'Last-Event-ID': id });
    await second.until(/event: published\ndata: .*missed\.txt/);
    expect(second.text()).not.toContain('event: begin');
    const berts = await cursorNow(service, BERT);
    const flipped = `${id.startsWith('A') ? 'B' : 'A'}${id.slice(1)}`;
    for (const stranger of ['elsewhere-3', 'x', '-1', `${id}0`, '%00', flipped, berts]) {
      const other = await listen(service, { ...ANNA, 'Last-Event-ID': stranger });
      await other.until(/event: begin/);
      expect(other.text()).not.toContain('missed.txt');
    }
  });

  test('however much was missed, it is told in order, each once', async () => {
    const id = await cursorNow(service, ANNA);
    // Some 1,000 bytes each: names of 255 bytes, in two fields, written out in JSON.
    const { fileId } = await putFile(service.url, 'renamed often', { filename: 'x.txt' }, ANNA);
    const names = Array.from(
      { length: 450 },
      (_, round) => `${String(round).padStart(3, '0')}${'\u{1f30a}'.repeat(63)}`,
    );
    for (const name of names) {
      await send('PATCH', `${service.url}/api/files/${fileId}`, {
        headers: { ...ANNA, 'Content-Type': 'application/json' },
        body: JSON.stringify({ name }),
      });
    }
    const second = await listen(service, { ...ANNA, 'Last-Event-ID': id });
    await putFile(service.url, 'after it', { filename: 'after.txt' }, ANNA);
    await second.until(/event: published\ndata: .*after\.txt/);
    const told = eventsIn(second.text());
    expect(told.map(({ kind, data }) => `${kind} ${data.name}`)).toEqual([
      'published x.txt',
      ...names.map((name) => `renamed ${name}`),
      'published after.txt',
    ]);
    const third = await listen(service, { ...ANNA, 'Last-Event-ID': told.at(-2)?.id ?? '' });
    await third.until(/event: published\ndata: .*after\.txt/);
    expect(eventsIn(third.text())).toHaveLength(1);
  });

  test('nothing in it tells how much happens to others', async () => {
    const before = await cursorNow(service, BERT);
    const { fileId } = await putFile(service.url, 'of anna', { filename: 'a.txt' }, ANNA);
    for (let round = 0; round < 600; round++) {
      await send('PATCH', `${service.url}/api/files/${fileId}`, {
        headers: { ...ANNA, 'Content-Type': 'application/json' },
        body: JSON.stringify({ name: `${round}.txt` }),
      });
    }
    expect(await cursorNow(service, BERT)).toBe(before);
    // Nor whether what he missed is still remembered.
    await putFile(service.url, 'of bert', { filename: 'b.txt' }, BERT);
    const back = await listen(service, { ...BERT, 'Last-Event-ID': before });
    await back.until(/event: published\ndata: .*b\.txt/);
    expect(back.text()).not.toContain('event: begin');
  });

  test('listeners for one owner are bounded in number, and one that leaves makes room', async () => {
    const crowded = await startService({ env: { AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2' } });
    onTestFinished(() => crowded.stop());
    const streams = await Promise.all(Array.from({ length: 500 }, () => listen(crowded, ANNA)));
    await Promise.all(streams.map((stream) => stream.until(/event: begin/)));
    const refused = await send('GET', `${crowded.url}/api/events`, { headers: ANNA });
    expect([refused.status, refused.code, refused.headers['retry-after']]).toEqual([429, 'too_many_listeners', '30']);
    const bert = await listen(crowded, BERT);
    await bert.until(/event: begin/);
    await putFile(crowded.url, 'told to all', { filename: 'all.txt' }, ANNA);
    await Promise.all(streams.map((stream) => stream.until(/event: published\ndata: .*all\.txt/)));
    streams[0]?.response.destroy();
    await expect
      .poll(async () => (await send('HEAD', `${crowded.url}/api/events`, { headers: ANNA })).status)
      .toBe(200);
    await expect
      .poll(async () => {
        const again = await listen(crowded, ANNA);
        return again.response.statusCode;
      })
      .toBe(200);
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

  test('what is published while the streams end is told to no client, and does no harm', async () => {
    const { feed, publish } = await openOutbox();
    const stopping = new AbortController();
    const app = new Koa<RequestState>();
    app.use(async (ctx, next) => {
      Object.assign(ctx.state, { owner: 'anna', baseUrl: 'http://localhost' });
      await next();
    });
    app.use(eventsRoute({ feed, stopping: stopping.signal }));
    const server = app.listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const stream = await listen({ url: `http://127.0.0.1:${port}` }, {});
    await stream.until(/event: begin/);
    stopping.abort();
    // Several publications may share one commit.
    await Promise.all([publish('anna', 'one'), publish('anna', 'two')]);
    await stream.ended;
    expect(stream.text()).not.toContain('published');
  });

  test('for a client that takes nothing no events are read, and it is disconnected', async () => {
    let reads = 0;
    const { feed, catalog, publish } = await openOutbox((plain) => ({
      listEvents: (query) => {
        reads++;
        return plain.listEvents(query);
      },
    }));
    const app = new Koa<RequestState>();
    app.silent = true;
    app.use(async (ctx, next) => {
      Object.assign(ctx.state, { owner: 'anna', baseUrl: 'http://localhost' });
      await next();
    });
    app.use(eventsRoute({ feed, stopping: new AbortController().signal }, { patienceMs: 1_000 }));
    const server = app.listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    onTestFinished(() => void client.destroy());
    client.on('error', () => undefined).write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const [socket] = (await once(server, 'connection')) as [Socket];
    const closed = once(socket, 'close');
    await expect.poll(() => reads).toBe(1);

    // More than the kernel takes for it on both sides.
    const { id } = await publish('anna', 'x');
    const name = 'x'.repeat(1_000_000);
    for (let round = 0; round < 30; round++) {
      await catalog.renameFile(id, 'anna', name, null);
      await turn();
    }
    const before = reads;
    for (let round = 0; round < 10; round++) {
      await catalog.renameFile(id, 'anna', 'y', null);
      await turn();
    }
    expect(reads).toBe(before);
    await closed;
  });

  test('HEAD has no events', async () => {
    const answer = await send('HEAD', `${service.url}/api/events`, { headers: ANNA });
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8']);
  });
});
