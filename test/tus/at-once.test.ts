/**
 * Small uploads whose bytes come in one request: those that are here with their headers go another way through the service
 * than those that come later. A client cannot tell the difference.
 */
import { Agent, request as httpRequest } from 'node:http';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createUpload, encodeMetadata, head, send, TUS } from '../harness/tus.ts';
import { exchange } from './wire.ts';
import { expectBytes, idOf, listFiles } from '../system/support.ts';

const OFFSET_TYPE = { 'Content-Type': 'application/offset+octet-stream' };

let service: RunningService;
beforeAll(async () => {
  service = await startService({ env: { MAX_FILE_SIZE: '30KiB' } });
});
afterAll(() => service.stop());

interface Sent {
  status: number;
  headers: Record<string, string | undefined>;
}

/** Sends head and body as one write; or, `later`, the body when the service asks for it. */
async function sendBytes(
  method: 'POST' | 'PATCH',
  path: string,
  headers: Record<string, string>,
  { bytes, later }: { bytes: Buffer; later: boolean },
): Promise<Sent> {
  const all = { ...TUS, ...OFFSET_TYPE, ...headers, 'Content-Length': String(bytes.length) };
  if (!later) {
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
    return exchange(Number(new URL(service.url).port), [`${method} ${path} HTTP/1.1`, ...lines], bytes);
  }
  const agent = new Agent();
  const request = httpRequest(`${service.url}${path}`, { method, agent, headers: { ...all, Expect: '100-continue' } });
  request.flushHeaders();
  await once(request, 'continue');
  request.end(bytes);
  const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage];
  response.resume();
  await once(response, 'end');
  agent.destroy();
  return { status: response.statusCode ?? 0, headers: response.headers as Sent['headers'] };
}

/** What differs between two answers of the same kind. */
const OWN = ['x-request-id', 'date', 'location', 'tidemark-file-id', 'tidemark-file-url', 'connection', 'keep-alive'];

function comparable({ status, headers }: Sent): unknown {
  const names = Object.keys(headers).toSorted();
  return {
    status,
    names: names.filter((name) => name !== 'keep-alive'),
    same: names.filter((name) => !OWN.includes(name)).map((name) => [name, headers[name]]),
  };
}

test.each(['POST', 'PATCH'] as const)('%s: the same answer, the same upload and file', async (method) => {
  const seen: unknown[] = [];
  for (const later of [false, true]) {
    const bytes = makeBytes(10_240, later ? 71 : 72);
    const declared = { filename: 'päper.txt', md5: md5(bytes), note: 'x' };
    const metadata = { 'Upload-Metadata': encodeMetadata({ ...declared, md5: declared.md5.toUpperCase() }) };
    const length = { 'Upload-Length': String(bytes.length) };
    const location = method === 'PATCH' ? await createUpload(service.url, bytes.length, declared) : undefined;
    const answer =
      location === undefined
        ? await sendBytes('POST', '/uploads', { ...length, ...metadata }, { bytes, later })
        : await sendBytes('PATCH', new URL(location).pathname, { 'Upload-Offset': '0' }, { bytes, later });
    const address = location ?? answer.headers['location'] ?? '';
    const state = await head(address);
    expect(state.headers['tidemark-file-id']).toBe(answer.headers['tidemark-file-id']);
    await expectBytes(address, bytes);
    await expectBytes(answer.headers['tidemark-file-url'] ?? '', bytes);
    const listed = (await listFiles(service)).find(({ id }) => id === answer.headers['tidemark-file-id']);
    expect(listed?.name).toBe('päper.txt');
    const known = String(state.headers['upload-metadata']).replace(/md5 [^,]*/i, 'md5');
    const { 'upload-offset': offset, 'upload-length': size } = state.headers;
    seen.push({ answer: comparable(answer), known, offset, size });
    // Sent once more, it is another file of the same content.
    const again = await sendBytes('POST', '/uploads', length, { bytes, later });
    expect(again.status).toBe(201);
    // The next one has the name again.
    await send('DELETE', `${service.url}/api/files/${listed?.id}`);
    expect(again.headers['tidemark-file-id']).not.toBe(answer.headers['tidemark-file-id']);
    await expectBytes(again.headers['tidemark-file-url'] ?? '', bytes);
  }
  expect(seen[0]).toEqual(seen[1]);
});

test('a file whose bytes come at once has one name, and no unfinished bytes', async () => {
  const bytes = makeBytes(5_000, 73);
  const answer = await sendBytes(
    'POST',
    '/uploads',
    { 'Upload-Length': '5000', 'Upload-Metadata': encodeMetadata({ filename: 'a.bin' }) },
    { bytes, later: false },
  );
  const names = await readdir(join(service.dataDir, 'files'));
  expect(names).toContain(`${md5(bytes)}.bin`);
  expect(names.filter((name) => name.includes(idOf(answer.headers['location'] ?? '-')))).toEqual([]);
});

test.each([false, true])('a refusal is the same; the bytes come later: %s', async (later) => {
  const before = (await listFiles(service)).length;
  const bytes = makeBytes(1000, later ? 74 : 75);
  const length = { 'Upload-Length': '1000' };
  const wrong = { md5: md5(Buffer.from('other')) };
  const metadata = { 'Upload-Metadata': encodeMetadata(wrong) };
  expect((await sendBytes('POST', '/uploads', { ...length, ...metadata }, { bytes, later })).status).toBe(460);
  const location = await createUpload(service.url, 1000, wrong);
  const { pathname } = new URL(location);
  expect((await sendBytes('PATCH', pathname, { 'Upload-Offset': '0' }, { bytes, later })).status).toBe(460);
  expect((await head(location)).status).toBe(410);
  expect((await sendBytes('PATCH', pathname, { 'Upload-Offset': '0' }, { bytes, later: false })).status).toBe(410);
  const large = makeBytes(40_000, 76);
  const tooLarge = { 'Upload-Length': '40000' };
  expect((await sendBytes('POST', '/uploads', tooLarge, { bytes: large, later: false })).status).toBe(413);
  expect((await send('GET', `${service.url}/files/${md5(bytes)}`)).status).toBe(404);
  expect(await listFiles(service)).toHaveLength(before);
});

test('several requests with all bytes of one upload: it becomes one file', async () => {
  const bytes = makeBytes(2_000, 77);
  const location = await createUpload(service.url, bytes.length);
  const { pathname } = new URL(location);
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => sendBytes('PATCH', pathname, { 'Upload-Offset': '0' }, { bytes, later: false })),
  );
  const statuses = answers.map(({ status }) => status);
  expect(statuses).toContain(204);
  expect(statuses.filter((status) => ![204, 409, 423].includes(status))).toEqual([]);
  const ids = answers.flatMap(({ headers }) => headers['tidemark-file-id'] ?? []);
  expect(new Set(ids).size).toBe(1);
  await expectBytes(location, bytes);
});

test('a request that broke off before its first byte, and then all bytes at once: no unfinished bytes are left', async () => {
  const bytes = makeBytes(3_000, 78);
  const location = await createUpload(service.url, bytes.length);
  const broken = await openConnection();
  await broken.write(patchHead(location, bytes.length));
  await vi.waitUntil(async () => (await unfinished(location)).length > 0);
  broken.socket.destroy();
  expect((await head(location)).headers['upload-offset']).toBe('0');
  const { pathname } = new URL(location);
  expect((await sendBytes('PATCH', pathname, { 'Upload-Offset': '0' }, { bytes, later: false })).status).toBe(204);
  expect(await unfinished(location)).toEqual([]);
  await expectBytes(location, bytes);
});

test('a HEAD counts bytes that have come at once and have to go the way of all others', async () => {
  for (let round = 0; round < 40; round++) {
    const bytes = makeBytes(3_000, 100 + round);
    // What a crash has left under their name.
    await writeFile(join(service.dataDir, 'files', md5(bytes)), 'part');
    const location = await createUpload(service.url, bytes.length);
    const [writing, looking] = [await openConnection(), await openConnection()];
    await writing.write(Buffer.concat([Buffer.from(patchHead(location, bytes.length)), bytes]));
    await looking.write(headOf('HEAD', location, {}));
    const [answer] = (await once(looking.socket, 'data')) as [Buffer];
    expect(String(answer).toLowerCase()).toContain('upload-offset: 3000\r\n');
    writing.socket.destroy();
    looking.socket.destroy();
  }
});

/** The names of an upload's unfinished bytes. */
async function unfinished(location: string): Promise<string[]> {
  const names = await readdir(join(service.dataDir, 'files'));
  return names.filter((name) => name.includes(idOf(location)));
}

/** A connection. `write` resolves when the kernel has the bytes. */
async function openConnection(): Promise<{ socket: Socket; write: (bytes: string | Buffer) => Promise<void> }> {
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return { socket, write: (bytes) => new Promise((resolve) => socket.write(bytes, () => resolve())) };
}

function patchHead(location: string, length: number): string {
  return headOf('PATCH', location, { ...OFFSET_TYPE, 'Upload-Offset': '0', 'Content-Length': String(length) });
}

function headOf(method: string, location: string, headers: Record<string, string>): string {
  const { pathname, host } = new URL(location);
  const lines = Object.entries({ Host: host, ...TUS, ...headers }).map(([name, value]) => `${name}: ${value}`);
  return [`${method} ${pathname} HTTP/1.1`, ...lines, '', ''].join('\r\n');
}
