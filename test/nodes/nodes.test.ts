/** Two services over one PostgreSQL and one bucket, each request at any of them. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { NODE_DEAD_AFTER_MS } from '../../server/catalog/catalog.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { hasPostgres } from '../harness/postgres.ts';
import type { RunningService } from '../harness/service.ts';
import { createUpload, head, patch, send } from '../harness/tus.ts';
import { cursorNow, eventsIn, listen } from '../http/event-stream.ts';
import { putFile } from '../http/support.ts';
import { answered, expectBytes, idOf, listFiles, offsetOf, openPatch, until } from '../system/support.ts';
import { at, type Cluster, loseAsks, startCluster, switchNotifyOff } from './support.ts';

const SIZE = 400_000;
const HALF = SIZE / 2;
let seed = 9_700;

/** Half an upload has come to one node, on a request that is still open. */
async function sendHalf(node: RunningService, bytes: Buffer) {
  const location = await createUpload(node.url, bytes.length, { filename: 'a.bin', md5: md5(bytes) });
  const request = openPatch(location, 0, bytes.length);
  onTestFinished(() => request.destroy());
  await request.write(bytes.subarray(0, HALF));
  return { location, request };
}

async function elapsed(action: () => Promise<unknown>): Promise<number> {
  const beganMs = performance.now();
  await action();
  return performance.now() - beganMs;
}

function twoOf({ nodes }: Cluster): [RunningService, RunningService] {
  const [a, b] = nodes;
  if (!a || !b) throw new Error('no nodes');
  return [a, b];
}

describe.skipIf(!hasPostgres())('nodes on one catalog', () => {
  let cluster: Cluster;
  let a: RunningService;
  let b: RunningService;

  beforeAll(async () => {
    cluster = await startCluster(2);
    [a, b] = twoOf(cluster);
    await loseAsks(cluster.database);
  });

  afterAll(() => cluster?.stop());

  test('a HEAD elsewhere tells all that has come, and disturbs nobody', async () => {
    const bytes = makeBytes(SIZE, seed++);
    const { location, request } = await sendHalf(a, bytes);
    await until('it is committed on being asked', async () => (await offsetOf(at(b, location))) === HALF);
    await request.write(bytes.subarray(HALF, HALF + 1_000));
    // At once: its holder is asked, and answers.
    await until('it is committed again', async () => (await offsetOf(at(b, location))) === HALF + 1_000);
    // Without a notice it waits 4 seconds for an answer.
    expect(await elapsed(() => offsetOf(at(b, location)))).toBeLessThan(1_800);
    await request.write(bytes.subarray(HALF + 1_000));
    request.end();
    expect((await answered(request)).status).toBe(204);
    expect(await offsetOf(at(b, location))).toBe(SIZE);
    await expectBytes(at(b, location), bytes);
  });

  test('that bytes come is known elsewhere within 5 seconds, before any is committed', async () => {
    const bytes = makeBytes(SIZE, seed++);
    const { location, request } = await sendHalf(a, bytes);
    let sent = HALF;
    const sending = setInterval(() => void request.write(bytes.subarray(sent, (sent += 1_000))), 200);
    onTestFinished(() => clearInterval(sending));
    const meant = { md5: md5(bytes), owner: 'anyone', size: null, sha256: null, minOffset: 1 };
    const tookMs = await elapsed(() =>
      until('it is known', async () => (await cluster.catalog.findReceiving(meant)) !== undefined),
    );
    expect(tookMs).toBeLessThan(5_000 + 500);
    expect(await cluster.catalog.findReceiving(meant)).toMatchObject({ id: idOf(location), offset: 0 });
    expect(JSON.parse((await send('GET', `${b.url}/check?md5=${md5(bytes)}`)).body)).toMatchObject({
      status: 'uploading',
    });
  });

  test('a PATCH elsewhere takes over at once', async () => {
    const bytes = makeBytes(SIZE, seed++);
    const { location, request } = await sendHalf(a, bytes);
    await until('it is committed', async () => (await offsetOf(at(b, location))) === HALF);
    const tookMs = await elapsed(async () => {
      expect((await patch(at(b, location), HALF, bytes.subarray(HALF))).status).toBe(204);
    });
    // Without a notice the holder hears of nothing, and this is 423 after LOCK_TIMEOUT, 5 seconds.
    expect(tookMs).toBeLessThan(4_000);
    expect(await answered(request)).toMatchObject({ status: 423, code: 'upload_taken_over' });
    for (const node of [a, b]) await expectBytes(at(node, location), bytes);
  });

  test('the same PATCH at both, many times, ends in one right file', async () => {
    const bytes = makeBytes(SIZE, seed++);
    const location = await createUpload(a.url, SIZE, { filename: 'crowd', md5: md5(bytes) });
    const STEP = SIZE / 40;
    async function push(node: RunningService): Promise<void> {
      const lastMs = Date.now() + 60_000;
      while (Date.now() < lastMs) {
        const offset = await offsetOf(at(node, location));
        if (offset === SIZE) return;
        const answer = await patch(at(node, location), offset, bytes.subarray(offset, offset + STEP));
        expect([204, 409, 423]).toContain(answer.status);
      }
    }
    await Promise.all([a, b, a].map(push));
    await expectBytes(at(b, location), bytes);
    expect((await listFiles(a)).filter(({ name }) => name === 'crowd')).toHaveLength(1);
  });

  test('the same bytes at once at both are one content, told to both', async () => {
    for (let round = 0; round < 8; round++) {
      const bytes = makeBytes(5_000, seed++);
      const answers = await Promise.all([a, b, a, b].map((node) => putFile(node.url, bytes, { filename: 'same' })));
      expect(await cluster.catalog.findContents({ md5: md5(bytes) })).toHaveLength(1);
      for (const { fileId } of answers) await send('DELETE', `${b.url}/api/files/${fileId}`);
      expect(await cluster.catalog.findContents({ md5: md5(bytes) })).toEqual([]);
    }
    await until('no bytes are left', async () => (await cluster.catalog.listRemovals(0, 10)).length === 0);
  });

  test('a deletion and an instant upload, a deletion and a renaming: one comes first', async () => {
    for (let round = 0; round < 12; round++) {
      const bytes = makeBytes(1_000, seed++);
      const { fileId } = await putFile(a.url, bytes, { filename: 'first' });
      const ask = `/check?md5=${md5(bytes)}&size=1000&filename=second`;
      const renaming = { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ name: 'third' }) };
      const [deleted, checked, renamed] = await Promise.all([
        send('DELETE', `${a.url}/api/files/${fileId}`),
        send('GET', b.url + ask),
        send('PATCH', `${b.url}/api/files/${fileId}`, renaming),
      ]);
      expect([200, 204]).toContain(deleted.status);
      expect([200, 404]).toContain(renamed.status);
      const isInstant = (JSON.parse(checked.body) as { status: string }).status === 'exists';
      const content = await send('GET', `${a.url}/files/${md5(bytes)}`);
      expect(content.status).toBe(isInstant ? 200 : 404);
      const names = (await listFiles(b)).map(({ name }) => name);
      expect(names).not.toContain('first');
      expect(names).not.toContain('third');
      expect(names.includes('second')).toBe(isInstant);
      for (const file of await listFiles(a)) {
        if (file.name === 'second') await send('DELETE', `${a.url}/api/files/${file.id}`);
      }
    }
  });

  test('what happens at one is told to those who listen at the other, and to those who come there later', async () => {
    const stream = await listen(b, { 'Last-Event-ID': await cursorNow(a) });
    const tookMs = await elapsed(async () => {
      const { fileId } = await putFile(a.url, makeBytes(100, seed++), { filename: 'told.txt' });
      await stream.until(new RegExp(`data: {"id":"${fileId}"`));
    });
    // Without a notice it is looked at after 4 seconds at the earliest.
    expect(tookMs).toBeLessThan(3_500);
    const [, id = ''] = /id: (\S+)\nevent: published/.exec(stream.text()) ?? [];
    stream.response.destroy();
    const { fileId } = await putFile(a.url, makeBytes(100, seed++), { filename: 'missed.txt' });
    const later = await listen(b, { 'Last-Event-ID': id });
    await later.until(new RegExp(`data: {"id":"${fileId}"`));
    expect(eventsIn(later.text()).map(({ data }) => data.name)).toEqual(['missed.txt']);
  });

  test('one that stands still longer than its lease writes nothing when it wakes up', async () => {
    const bytes = makeBytes(SIZE, seed++);
    const { location, request } = await sendHalf(a, bytes);
    await until('it is committed', async () => (await offsetOf(at(b, location))) === HALF);
    process.kill(a.pid, 'SIGSTOP');
    try {
      await request.write(bytes.subarray(HALF));
      request.end();
      const node = (await cluster.catalog.findUpload(idOf(location)))?.holder ?? '';
      // Sooner than it would be by itself.
      await cluster.database.run(`update nodes set seen_at = seen_at - ${NODE_DEAD_AFTER_MS} where id = '${node}'`);
      const offset = await offsetOf(at(b, location));
      expect(offset).toBe(HALF);
      // Other bytes than those that the frozen node has in its socket, up to the last one.
      const half = await patch(at(b, location), HALF, bytes.subarray(HALF, SIZE - 1));
      expect(half.status).toBe(204);
      process.kill(a.pid, 'SIGCONT');
      expect(await answered(request)).toMatchObject({ status: 423, code: 'upload_taken_over' });
      expect(await offsetOf(at(a, location))).toBe(SIZE - 1);
      expect((await patch(at(a, location), SIZE - 1, bytes.subarray(SIZE - 1))).status).toBe(204);
      await expectBytes(at(b, location), bytes);
      await until('it has joined again', () => cluster.catalog.isNodeAlive(node));
    } finally {
      process.kill(a.pid, 'SIGCONT');
    }
  });

  test('the uploads of one that was killed go on elsewhere once it counts as dead', async () => {
    const bytes = makeBytes(SIZE, seed++);
    const { location } = await sendHalf(a, bytes);
    await until('it is committed', async () => (await offsetOf(at(b, location))) === HALF);
    const node = (await cluster.catalog.findUpload(idOf(location)))?.holder ?? '';
    await a.kill('SIGKILL');
    await cluster.database.run(
      `update nodes set seen_at = seen_at - ${NODE_DEAD_AFTER_MS - 1_000} where id = '${node}'`,
    );
    expect((await patch(at(b, location), HALF, bytes.subarray(HALF))).status).toBe(204);
    await expectBytes(at(b, location), bytes);
    await a.restart();
    expect((await cluster.catalog.listNodes()).map(({ id }) => id)).not.toContain(node);
    expect((await head(at(a, location))).headers['upload-offset']).toBe(String(SIZE));
  });
});

describe.skipIf(!hasPostgres())('nodes that hear nothing of each other', () => {
  let cluster: Cluster;
  let a: RunningService;
  let b: RunningService;

  beforeAll(async () => {
    cluster = await startCluster(2, { prepare: switchNotifyOff, env: { LOCK_TIMEOUT: '10s' } });
    [a, b] = twoOf(cluster);
  });

  afterAll(() => cluster?.stop());

  test('tell the same, later: also what has come and is not committed', async () => {
    const bytes = makeBytes(SIZE, seed++);
    const stream = await listen(b, { 'Last-Event-ID': await cursorNow(a) });
    const { location, request } = await sendHalf(a, bytes);
    await until('it is committed', async () => (await offsetOf(at(a, location))) === HALF);
    await request.write(bytes.subarray(HALF, HALF + 1_000));
    await until('it is committed on being asked', async () => (await offsetOf(at(b, location))) === HALF + 1_000);
    expect((await cluster.catalog.findUpload(idOf(location)))?.phase).toBe('receiving');
    await request.write(bytes.subarray(HALF + 1_000));
    request.end();
    expect((await answered(request)).status).toBe(204);
    expect(await offsetOf(at(b, location))).toBe(SIZE);
    await stream.until(/"name":"a.bin"/);
  });

  test('take over from each other within the usual LOCK_TIMEOUT', async () => {
    const bytes = makeBytes(SIZE, seed++);
    const { location, request } = await sendHalf(a, bytes);
    await until('it is committed', async () => (await offsetOf(at(a, location))) === HALF);
    expect((await patch(at(b, location), HALF, bytes.subarray(HALF))).status).toBe(204);
    expect(await answered(request)).toMatchObject({ status: 423, code: 'upload_taken_over' });
    for (const node of [a, b]) await expectBytes(at(node, location), bytes);
    expect(await cluster.database.run('select * from asks')).toEqual([]);
  });
});
