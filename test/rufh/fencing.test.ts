/** An offset that is told to a client of RUFH holds: no earlier request moves it, whatever it still sends, on whichever node. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { hasPostgres } from '../harness/postgres.ts';
import type { RunningService } from '../harness/service.ts';
import { PART } from '../harness/part.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { head as tusHead } from '../harness/tus.ts';
import { type Cluster, startCluster } from '../nodes/support.ts';
import { until } from '../system/support.ts';
import { headOf, openWire, sendWire, type Wire } from './wire.ts';

const V = { 'Upload-Draft-Interop-Version': 10 };
const PARTIAL = { 'Content-Type': 'application/partial-upload' };

/** Begins an upload with a request that goes on until it is ended. */
async function beginOpen({ port }: RunningService, length: number): Promise<{ path: string; wire: Wire }> {
  const wire = await openWire(port);
  onTestFinished(() => wire.cut());
  wire.write(headOf('POST', '/uploads?name=f.bin', { ...V, 'Upload-Complete': '?1', 'Content-Length': length }));
  const early = await wire.next();
  return { path: new URL(early.headers['location'] ?? '').pathname, wire };
}

function look({ port }: RunningService, path: string, method = 'HEAD') {
  return sendWire(port, method, path, V);
}

function append({ port }: RunningService, path: string, offset: number, body: Uint8Array) {
  const fields = { ...V, ...PARTIAL, 'Upload-Offset': offset, 'Upload-Complete': '?1' };
  return sendWire(port, 'PATCH', path, fields, body);
}

/** The one test over one node or two: the old writer is at `first`, all later requests come to `second`. */
async function fences(first: RunningService, second: RunningService, bytes: Buffer, method: string): Promise<void> {
  const { path, wire } = await beginOpen(first, bytes.length);
  const half = Math.floor(bytes.length / 2);
  wire.write(bytes.subarray(0, half));
  await until('bytes have come', async () => Number((await tusHead(first.url + path)).headers['upload-offset']) > 0);
  const told = await look(second, path, method);
  expect(told.status).toBe(204);
  const offset = Number(told.headers['upload-offset']);
  // The old request is still there, and goes on.
  wire.write(bytes.subarray(half));
  const late = await wire.final().catch(() => undefined);
  expect([undefined, 503]).toContain(late?.status);
  expect((await look(second, path)).headers).toMatchObject({
    'upload-offset': String(offset),
    'upload-complete': '?0',
  });
  const last = await append(second, path, offset, bytes.subarray(offset));
  expect(last.status, last.body).toBe(201);
  expect(last.json).toMatchObject({ md5: md5(bytes), size: bytes.length });
}

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  test.each(['HEAD', 'GET'])('%s ends the request that still sends', async (method) => {
    await fences(service, service, makeBytes(PART + 300_000, method.length), method);
  });

  test('a PATCH ends it, too, and DELETE ends the upload with it', async () => {
    const bytes = makeBytes(200_000, 1);
    const { path, wire } = await beginOpen(service, bytes.length);
    wire.write(bytes.subarray(0, 100_000));
    await until(
      'bytes have come',
      async () => (await tusHead(service.url + path)).headers['upload-offset'] === '100000',
    );
    expect((await append(service, path, 100_000, bytes.subarray(100_000))).json).toMatchObject({ md5: md5(bytes) });

    const other = await beginOpen(service, bytes.length);
    other.wire.write(bytes.subarray(0, 100_000));
    await until('bytes have come', async () => {
      return (await tusHead(service.url + other.path)).headers['upload-offset'] === '100000';
    });
    expect((await look(service, other.path, 'DELETE')).status).toBe(204);
    expect((await look(service, other.path)).status).toBe(404);
    await until('its bytes are gone', async () => {
      return (await service.unfinished()).every((name) => !name.includes(other.path.slice('/uploads/'.length)));
    });
  });

  test('what is told survives a kill, and completes by ?1 alone', async () => {
    const bytes = makeBytes(150_000, 2);
    const created = await sendWire(
      service.port,
      'POST',
      '/uploads',
      { ...V, 'Upload-Complete': '?0', 'Upload-Length': bytes.length },
      bytes,
    );
    const path = new URL(created.headers['location'] ?? '').pathname;
    await service.restart();
    const told = await look(service, path);
    expect(told.headers).toMatchObject({ 'upload-offset': String(bytes.length), 'upload-complete': '?0' });
    expect((await append(service, path, bytes.length, Buffer.alloc(0))).json).toMatchObject({ md5: md5(bytes) });
    await service.restart();
    // The answer was lost: it is repeated.
    const again = await append(service, path, bytes.length, Buffer.alloc(0));
    expect([again.status, again.json]).toMatchObject([201, { md5: md5(bytes) }]);
  });
});

describe.skipIf(!hasPostgres())('two nodes', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster(2);
  });
  afterAll(() => cluster.stop());

  test('HEAD at one ends the request that still sends to the other', async () => {
    const [first, second] = cluster.nodes;
    if (!first || !second) throw new Error('two nodes were to be started');
    await fences(first, second, makeBytes(400_000, 3), 'HEAD');
  });
});
