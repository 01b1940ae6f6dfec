import { readdir, readFile, readlink, truncate } from 'node:fs/promises';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { COLLIDING } from '../harness/collision.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createUpload, patch, send } from '../harness/tus.ts';
import { putFile, type Stored } from './support.ts';
import { IS_LINUX } from '../harness/needs.ts';

const BYTES = makeBytes(100_000, 21);
const TAG = new RegExp(`^"${md5(BYTES)}\\.[\\w-]{16}"$`);

function download(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ answer: IncomingMessage; bytes: Buffer }> {
  return new Promise((resolve, reject) => {
    get(url, { headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        resolve({ answer, bytes: Buffer.concat(chunks) });
      });
    }).on('error', reject);
  });
}

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  let file: Stored;
  let tag: string;
  beforeAll(async () => {
    service = await store.startService();
    file = await putFile(service.url, BYTES, { filename: 'hundred.bin' });
    tag = String((await send('HEAD', file.url)).headers.etag);
  });
  afterAll(() => service.stop());

  describe('a whole file', () => {
    test('arrives bit for bit, with or without its extension in the address', async () => {
      const byContent = `${service.url}/files/${md5(BYTES)}`;
      for (const url of [file.url, byContent, `${byContent}.bin`, `${byContent}.zip`, file.upload]) {
        const { answer, bytes } = await download(url);
        expect(answer.statusCode).toBe(200);
        expect(bytes.equals(BYTES)).toBe(true);
        expect(answer.headers).toMatchObject({
          'content-length': '100000',
          'accept-ranges': 'bytes',
          etag: expect.stringMatching(TAG),
          'x-content-type-options': 'nosniff',
        });
      }
    });

    test('HEAD has the headers of GET and no body', async () => {
      // RFC 9110 section 14.2: a Range counts with GET alone.
      for (const headers of [
        {},
        { Range: 'bytes=5-9' },
        { Range: 'bytes=200000-' },
        { Range: 'bytes=5-9', 'If-Range': tag },
      ] as Record<string, string>[]) {
        const [whole, head] = await Promise.all([send('GET', file.url), send('HEAD', file.url, { headers })]);
        const varying = { 'x-request-id': '', date: '' };
        expect(head.body).toBe('');
        expect(head.status).toBe(whole.status);
        expect({ ...head.headers, ...varying }).toEqual({ ...whole.headers, ...varying });
      }
    });

    test('an empty file is 200 with nothing, and has no range', async () => {
      const empty = await putFile(service.url, '', { filename: 'empty.txt' });
      const answer = await send('GET', empty.url);
      expect([answer.status, answer.headers['content-length'], answer.body]).toEqual([200, '0', '']);
      const ranged = await send('GET', empty.url, { headers: { Range: 'bytes=0-' } });
      expect([ranged.status, ranged.headers['content-range']]).toEqual([416, 'bytes */0']);
    });

    test('unknown names are 404', async () => {
      for (const name of ['0'.repeat(32), '0'.repeat(64), 'nope', `${md5(BYTES)}-1`, `${md5(BYTES)}-0`, '.bin']) {
        const answer = await send('GET', `${service.url}/files/${name}`);
        expect([answer.status, answer.code], name).toEqual([404, 'not_found']);
      }
    });

    test('GET of an upload is 404 until it is published', async () => {
      const location = await createUpload(service.url, 6, { filename: 'six.txt' });
      await patch(location, 0, 'abc');
      expect((await send('GET', location)).status).toBe(404);
      await patch(location, 3, 'def');
      const done = await send('GET', location);
      expect([done.status, done.body]).toEqual([200, 'abcdef']);
      expect(done.headers.etag).toContain(md5(Buffer.from('abcdef')));
      expect(done.headers['content-disposition']).toContain('six.txt');
    });
  });

  describe('ranges', () => {
    test.each([
      ['bytes=0-0', 0, 0],
      ['bytes=10-19', 10, 19],
      ['bytes=99990-', 99_990, 99_999],
      ['bytes=99990-200000', 99_990, 99_999],
      ['bytes=-10', 99_990, 99_999],
      ['bytes=-200000', 0, 99_999],
      ['bytes=0-9,10-19', 0, 19],
    ])('%s', async (range, start, end) => {
      const { answer, bytes } = await download(file.url, { Range: range });
      expect(answer.statusCode).toBe(206);
      expect(answer.headers['content-range']).toBe(`bytes ${start}-${end}/100000`);
      expect(answer.headers['content-length']).toBe(String(end - start + 1));
      expect(bytes.equals(BYTES.subarray(start, end + 1))).toBe(true);
    });

    test.each(['bytes=100000-', 'bytes=200000-200001', 'bytes=-0'])('%s is 416 with the size', async (range) => {
      const answer = await send('GET', file.url, { headers: { Range: range } });
      expect([answer.status, answer.code]).toEqual([416, 'range_not_satisfiable']);
      expect(answer.headers['content-range']).toBe('bytes */100000');
      expect(answer.headers['content-type']).toContain('application/json');
      // The answer is about the range; it is not the file.
      expect(answer.headers).not.toHaveProperty('content-disposition');
      expect(answer.headers).not.toHaveProperty('etag');
    });

    test.each(['bytes=0-9,50-59', 'lines=1-2', 'bytes', 'bytes=a-b', 'bytes=9-5'])(
      '%s is not served in parts',
      async (range) => {
        const { answer, bytes } = await download(file.url, { Range: range });
        // RFC 9110 section 14.2: a server may ignore a Range it does not like.
        expect([200, 416]).toContain(answer.statusCode);
        if (answer.statusCode === 200) expect(bytes.length).toBe(100_000);
      },
    );

    test('If-Range by tag and by date: the part only of the same file', async () => {
      const modified = String((await send('HEAD', file.url)).headers['last-modified']);
      const later = new Date(Date.parse(modified) + 10_000).toUTCString();
      for (const [value, status] of [
        [tag, 206],
        ['"another"', 200],
        [`W/${tag}`, 200],
        [modified, 206],
        [later, 200],
        ['Thu, 01 Jan 1970 00:00:00 GMT', 200],
        ['nonsense', 200],
      ] as const) {
        const { answer } = await download(file.url, { Range: 'bytes=0-9', 'If-Range': value });
        expect(answer.statusCode, value).toBe(status);
      }
    });
  });

  describe('conditions', () => {
    async function statusWith(headers: Record<string, string>): Promise<number> {
      return (await send('GET', file.url, { headers })).status;
    }

    test('If-None-Match is 304 without a body', async () => {
      for (const value of [tag, `W/${tag}`, `"x", ${tag}`, '*']) {
        const answer = await send('GET', file.url, { headers: { 'If-None-Match': value } });
        expect([answer.status, answer.body], value).toEqual([304, '']);
        expect(answer.headers.etag).toBe(tag);
        expect(answer.headers).not.toHaveProperty('content-length');
      }
      expect(await statusWith({ 'If-None-Match': '"x"' })).toBe(200);
    });

    test('If-Modified-Since', async () => {
      const modified = String((await send('HEAD', file.url)).headers['last-modified']);
      expect(await statusWith({ 'If-Modified-Since': modified })).toBe(304);
      expect(await statusWith({ 'If-Modified-Since': new Date(Date.now() - 3_600_000).toUTCString() })).toBe(200);
      expect(await statusWith({ 'If-Modified-Since': 'nonsense' })).toBe(200);
      // Not a date of RFC 9110 section 5.6.7, though JavaScript would make one of it.
      expect(await statusWith({ 'If-Modified-Since': '9999' })).toBe(200);
      // Section 13.1.3: If-None-Match counts where both are there.
      expect(await statusWith({ 'If-Modified-Since': modified, 'If-None-Match': '"x"' })).toBe(200);
    });

    test('If-Match and If-Unmodified-Since are 412, told as JSON', async () => {
      const modified = String((await send('HEAD', file.url)).headers['last-modified']);
      const refused = await send('GET', file.url, { headers: { 'If-Match': '"x"' } });
      expect([refused.status, refused.code]).toEqual([412, 'precondition_failed']);
      expect(refused.headers).not.toHaveProperty('content-disposition');
      expect(await statusWith({ 'If-Match': `W/${tag}` })).toBe(412);
      expect(await statusWith({ 'If-Match': `"x", ${tag}` })).toBe(200);
      expect(await statusWith({ 'If-Match': '*' })).toBe(200);
      expect(await statusWith({ 'If-Unmodified-Since': modified })).toBe(200);
      expect(await statusWith({ 'If-Unmodified-Since': 'Thu, 01 Jan 1970 00:00:00 GMT' })).toBe(412);
    });
  });

  test('a tag is of the bytes, not of their address: a twin by MD5 that takes the address has another', async () => {
    const [first, second] = COLLIDING;
    const stored = await putFile(service.url, first, { filename: 'first' });
    const address = `${service.url}/files/${md5(first)}`;
    const { etag = '' } = (await send('HEAD', stored.url)).headers;
    expect((await send('HEAD', address)).headers.etag).toBe(etag);
    await send('DELETE', `${service.url}/api/files/${stored.fileId}`);
    const twin = await putFile(service.url, second, { filename: 'second' });
    expect((await send('GET', stored.url)).status).toBe(404);
    for (const url of [address, twin.url]) {
      const { answer, bytes } = await download(url, { Range: 'bytes=64-', 'If-Range': etag });
      expect(answer.statusCode).toBe(200);
      expect(bytes.equals(second)).toBe(true);
      expect(answer.headers.etag).not.toBe(etag);
    }
  });

  describe('large files', () => {
    // Twice as much as memory may grow.
    const LARGE = 128 * 1024 * 1024;
    let large: Stored;
    let largeName: string;
    beforeAll(async () => {
      // One block over and over: what counts is its length, and making it costs nothing.
      const block = makeBytes(1024 * 1024, 5);
      const location = await createUpload(service.url, LARGE, { filename: 'large.bin' });
      const source = Readable.from(
        (function* () {
          for (let sent = 0; sent < LARGE; sent += block.length) yield block;
        })(),
        { objectMode: false },
      );
      const done = await patch(location, 0, source, { 'Content-Length': String(LARGE) });
      const etag = String((await send('HEAD', String(done.headers['tidemark-file-url']))).headers.etag);
      largeName = `${/^"([0-9a-f]{32})/.exec(etag)?.[1]}.bin`;
      large = {
        fileId: String(done.headers['tidemark-file-id']),
        url: String(done.headers['tidemark-file-url']),
        upload: location,
      };
    });

    async function peakKiB(): Promise<number> {
      const status = await readFile(`/proc/${service.pid}/status`, 'utf8');
      return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]);
    }

    function openLarge(): Promise<IncomingMessage> {
      return new Promise((resolve, reject) => {
        get(large.url, { agent: false }, resolve).on('error', reject);
      });
    }

    test.runIf(IS_LINUX)('are streamed: memory does not grow with them', async () => {
      const before = await peakKiB();
      let length = 0;
      for await (const chunk of await openLarge()) length += (chunk as Buffer).length;
      expect(length).toBe(LARGE);
      expect(await peakKiB()).toBeLessThan(before + 64 * 1024);
    });

    test.runIf(IS_LINUX)('a client that does not read holds no memory, one that leaves no file', async () => {
      const before = await peakKiB();
      const answers = await Promise.all(Array.from({ length: 8 }, openLarge));
      for (const answer of answers) answer.pause();
      expect((await send('GET', `${service.url}/healthz`)).status).toBe(200);
      expect(await peakKiB()).toBeLessThan(before + 64 * 1024);
      async function openFiles(): Promise<number> {
        const fds = await readdir(`/proc/${service.pid}/fd`);
        const targets = await Promise.all(fds.map((fd) => readlink(`/proc/${service.pid}/fd/${fd}`).catch(() => '')));
        return targets.filter((target) => target.includes('/files/')).length;
      }
      // What a bucket is asked for: bucket-downloads.test.ts.
      if (store.name === 'local') expect(await openFiles()).toBe(8);
      for (const answer of answers) {
        answer.on('error', () => undefined);
        answer.destroy();
      }
      await vi.waitFor(async () => expect(await openFiles()).toBe(0), { timeout: 5_000 });
    });

    test('a file deleted while it is being downloaded arrives whole', async () => {
      const answer = await openLarge();
      let length = 0;
      let deleted = false;
      for await (const chunk of answer) {
        length += (chunk as Buffer).length;
        if (deleted) continue;
        deleted = true;
        expect((await send('DELETE', `${service.url}/api/files/${large.fileId}`)).status).toBe(204);
        expect((await send('GET', large.url)).status).toBe(404);
        expect(await service.contents()).not.toContain(await service.contentName(large.upload, largeName));
      }
      expect(length).toBe(LARGE);
    });
  });

  test('a file whose bytes are gone is an error, not an empty answer', async () => {
    const lost = await putFile(service.url, 'soon gone', { filename: 'lost.txt' });
    await service.loseContent(await service.contentName(lost.upload, `${md5(Buffer.from('soon gone'))}.txt`));
    for (const url of [
      lost.url,
      lost.upload,
      `${service.url}/file/download?filehash=${md5(Buffer.from('soon gone'))}`,
    ]) {
      const answer = await send('GET', url);
      expect([answer.status, answer.code]).toEqual([500, 'content_damaged']);
      // HEAD of an upload is of the protocol.
      if (url !== lost.upload) expect((await send('HEAD', url)).status).toBe(500);
    }
  });
});

describe('content that was damaged behind the service’s back', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  test.each([
    ['shorter', 60_000],
    ['longer', 140_000],
  ])('and is %s now: it is refused, and the log says why', async (word, size) => {
    const bytes = makeBytes(100_000, size);
    const stored = await putFile(service.url, bytes, { filename: `${word}.bin` });
    await truncate(join(service.dataDir, 'files', `${md5(bytes)}.bin`), size);
    for (const headers of [{}, { Range: 'bytes=0-9' }] as Record<string, string>[]) {
      const answer = await send('GET', stored.url, { headers });
      expect([answer.status, answer.code]).toEqual([500, 'content_damaged']);
    }
    await vi.waitFor(() => expect(service.output()).toContain(`has ${size} bytes, not 100000`));
  });

  test('and becomes shorter while it is sent: the connection ends, and the log says why', async () => {
    const bytes = makeBytes(16_000_000, 23);
    const stored = await putFile(service.url, bytes, { filename: 'cut.bin' });
    const connection = connect(service.port, '127.0.0.1');
    connection.on('error', () => undefined);
    connection.write(`GET ${new URL(stored.url).pathname} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await once(connection, 'readable');
    // More than the system holds on the way is still to be read from the disk.
    await truncate(join(service.dataDir, 'files', `${md5(bytes)}.bin`), 15_000_000);
    const answer = await buffer(connection).catch(() => Buffer.alloc(0));
    expect(answer.length).toBeLessThan(bytes.length);
    await vi.waitFor(() => expect(service.output()).toContain('fewer than 16000000 bytes'));
  });
});
