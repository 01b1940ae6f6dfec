import { once } from 'node:events';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createUpload, patch, send } from '../harness/tus.ts';
import { filePart, json, multipart, putFile, raw, sendForm } from './support.ts';
import { countRows, type Rows } from './traces.ts';

const LIMIT = 4 * 1024 * 1024;

interface Traces extends Rows {
  stored: string[];
}

/** 200 MB that are never held in memory. */
function muchData(head: Buffer): Readable {
  const block = Buffer.alloc(256 * 1024, 7);
  return Readable.from(
    (function* () {
      yield head;
      for (let sent = 0; sent < 200e6; sent += block.length) yield block;
    })(),
    { objectMode: false },
  );
}

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService({ MAX_FILE_SIZE: String(LIMIT) });
  });
  afterAll(() => service.stop());

  /** What the service keeps: names in its store, and rows of the catalog. */
  async function traces(): Promise<Traces> {
    return {
      stored: [...(await service.contents()), ...(await service.unfinished())],
      ...countRows(service.dataDir),
    };
  }

  /** Runs what is refused, and sees to it that nothing of it stays. */
  async function leavingNothing<T>(action: () => Promise<T>): Promise<T> {
    const before = await traces();
    const result = await action();
    await vi.waitFor(async () => expect(await traces()).toEqual(before), { timeout: 60_000 });
    return result;
  }

  describe.each(['/upload', '/file/upload'])('POST %s', (path) => {
    const older = path === '/file/upload';

    test('takes a file, whatever fields are around it', async () => {
      const bytes = makeBytes(200_000, older ? 41 : 42);
      const answer = await sendForm(service.url + path, [
        ['Content-Disposition: form-data; name="note"', 'before'],
        [filePart(`form${older ? '-older' : ''}.tar.gz`), bytes],
        ['Content-Disposition: form-data; name="after"', 'after'],
      ]);
      let url = `${service.url}/files/${md5(bytes)}.gz`;
      if (older) {
        expect([answer.status, answer.headers.location, answer.body]).toEqual([
          302,
          '/file/upload/suc',
          'Upload finished!',
        ]);
      } else {
        expect([answer.status, json(answer)['status']]).toEqual([200, 'ok']);
        url = String(json(answer)['url']);
      }
      const stored = await send('GET', url);
      expect([stored.status, stored.headers['content-length']]).toEqual([200, '200000']);
      expect(stored.headers['content-disposition']).toContain(`form${older ? '-older' : ''}.tar.gz`);
    });

    test('takes an empty file', async () => {
      const answer = await sendForm(service.url + path, [[filePart('empty.txt'), '']]);
      expect(answer.status).toBe(older ? 302 : 200);
      expect((await send('GET', `${service.url}/files/${md5(Buffer.from(''))}.txt`)).headers['content-length']).toBe(
        '0',
      );
    });

    test('keeps the last part of a path that an old browser names', async () => {
      const bytes = makeBytes(100, older ? 43 : 44);
      await sendForm(service.url + path, [
        [filePart(`C:\\\\Users\\\\me\\\\..\\\\notes${older ? '-older' : ''}.txt`), bytes],
      ]);
      const stored = await send('HEAD', `${service.url}/files/${md5(bytes)}`);
      expect(stored.headers['content-disposition']).toContain(`"notes${older ? '-older' : ''}.txt"`);
    });

    test('a file of exactly MAX_FILE_SIZE is taken, one byte more is 413', async () => {
      const bytes = makeBytes(LIMIT + 1, older ? 45 : 46);
      expect((await sendForm(service.url + path, [[filePart('most.bin'), bytes.subarray(0, LIMIT)]])).status).toBe(
        older ? 302 : 200,
      );
      const answer = await leavingNothing(() => sendForm(service.url + path, [[filePart('more.bin'), bytes]]));
      expect([answer.status, answer.code]).toEqual([413, 'too_large']);
      expect(json(answer)['status']).toBe('error');
    });

    test.each([
      ['no file', 400, [['Content-Disposition: form-data; name="note"', 'x']]],
      ['nothing at all', 400, []],
      ['a field of text by the name file', 400, [['Content-Disposition: form-data; name="file"', 'text']]],
      [
        'two files',
        400,
        [
          [filePart('a.txt'), 'first'],
          [filePart('b.txt'), 'second'],
        ],
      ],
      ['a file in another field', 400, [[filePart('a.txt', 'data'), 'x']]],
      [
        'a second file in another field',
        400,
        [
          [filePart('a.txt'), 'x'],
          [filePart('b.txt', 'other'), 'y'],
        ],
      ],
    ] as const)('%s is %i, and nothing stays', async (_, status, parts) => {
      const answer = await leavingNothing(() => sendForm(service.url + path, parts));
      expect(answer.status).toBe(status);
      expect(json(answer)).toMatchObject({ status: 'error', error: { code: 'invalid_field' } });
    });

    test.each([
      ['another type', 415, { 'Content-Type': 'application/octet-stream' }],
      ['no type', 415, {}],
      ['a urlencoded form', 415, { 'Content-Type': 'application/x-www-form-urlencoded' }],
      ['no boundary', 400, { 'Content-Type': 'multipart/form-data' }],
      ['an empty boundary', 400, { 'Content-Type': 'multipart/form-data; boundary=' }],
      ['another boundary', 400, { 'Content-Type': 'multipart/form-data; boundary=other' }],
    ] as const)('%s is %i', async (_, status, headers) => {
      const body = multipart('here', [[filePart('a.txt'), 'never stored']]);
      const answer = await leavingNothing(() => send('POST', service.url + path, { headers, body }));
      expect([answer.status, json(answer)['status']]).toEqual([status, 'error']);
    });

    test('a form without its end is 400', async () => {
      const body = multipart('here', [[filePart('a.txt'), makeBytes(50_000, 47)]]);
      for (const length of [0, 40, 30_000, body.length - 12]) {
        const answer = await leavingNothing(() =>
          send('POST', service.url + path, {
            headers: { 'Content-Type': 'multipart/form-data; boundary=here' },
            body: body.subarray(0, length),
          }),
        );
        expect([answer.status, json(answer)['status']], String(length)).toEqual([400, 'error']);
      }
    });

    test('a connection that is cut half-way leaves nothing', async () => {
      await leavingNothing(async () => {
        const body = multipart('here', [[filePart('cut.bin'), makeBytes(3_000_000, 48)]]);
        const { receiving } = await traces();
        const socket = connect(service.port, '127.0.0.1');
        await once(socket, 'connect');
        socket.write(
          `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=here\r\n` +
            `Content-Length: ${body.length}\r\n\r\n`,
        );
        socket.write(body.subarray(0, 2_000_000));
        // It has begun: cut before that, the test would prove nothing.
        await vi.waitFor(async () => expect((await traces()).receiving).toBeGreaterThan(receiving), {
          timeout: 5_000,
          interval: 20,
        });
        if (store.name === 'local')
          await vi.waitFor(async () => expect(await service.unfinished()).not.toEqual([]), {
            timeout: 5_000,
            interval: 20,
          });
        socket.destroy();
      });
    });

    test('many forms that are cut at once leave nothing, and the service keeps working', async () => {
      const body = multipart('here', [[filePart('cut.bin'), makeBytes(60_000, 49)]]);
      await leavingNothing(() =>
        Promise.all(
          Array.from({ length: 30 }, async (_, index) => {
            const socket = connect(service.port, '127.0.0.1');
            socket.on('error', () => undefined);
            const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=here\r\nContent-Length: ${body.length}\r\n\r\n`;
            socket.write(head);
            await new Promise((resolve) => socket.write(body.subarray(0, index * 2_000), resolve));
            if (index % 2 === 0) socket.destroy();
            else socket.resetAndDestroy();
          }),
        ),
      );
      expect((await send('GET', `${service.url}/healthz`)).status).toBe(200);
    });
  });

  describe('POST /upload', () => {
    test('with a known SHA-256 the bytes are not read, and the file is there by its name', async () => {
      const bytes = makeBytes(3_000, 51);
      const stored = await putFile(service.url, bytes, { filename: 'known.txt' });
      const query = new URLSearchParams({ md5: md5(bytes), sha256: sha256(bytes), filename: 'again.txt' });
      const answer = await sendForm(`${service.url}/upload?${query.toString()}`, [
        [filePart('x.txt'), 'other bytes altogether'],
      ]);
      expect([answer.status, json(answer)['status']]).toEqual([200, 'exists']);
      const { url } = json<{ url: string }>(answer);
      expect((await send('GET', url)).headers['content-disposition']).toContain('again.txt');
      expect((await send('GET', stored.url)).headers['content-disposition']).toContain('known.txt');
      const unnamed = await sendForm(`${service.url}/upload?md5=${md5(bytes)}`, [[filePart('x.txt'), bytes]]);
      expect(json(unnamed)['status']).toBe('exists');
    });

    test('with a SHA-256 that is uploading, it is not taken twice', async () => {
      const bytes = makeBytes(3_000, 52);
      const digests = { md5: md5(bytes), sha256: sha256(bytes) };
      const location = await createUpload(service.url, bytes.length, digests);
      await patch(location, 0, bytes.subarray(0, 1_000));
      const query = new URLSearchParams(digests).toString();
      const answer = await sendForm(`${service.url}/upload?${query}`, [[filePart('x.txt'), bytes]]);
      expect([answer.status, json(answer)]).toEqual([200, { status: 'uploading' }]);
    });

    test('equal bytes without an MD5 are stored once', async () => {
      const bytes = makeBytes(3_000, 53);
      await putFile(service.url, bytes, { filename: 'one.txt' });
      const before = await service.contents();
      expect(json(await sendForm(`${service.url}/upload`, [[filePart('two.txt'), bytes]]))['status']).toBe('ok');
      expect(await service.contents()).toEqual(before);
    });

    test('a wrong MD5 is 460', async () => {
      const url = `${service.url}/upload?md5=${'0'.repeat(32)}`;
      const answer = await leavingNothing(() => sendForm(url, [[filePart('a.txt'), 'other bytes']]));
      expect(answer.status).toBe(460);
      expect(json(answer)).toMatchObject({ status: 'error', error: { code: 'digest_mismatch', field: 'md5' } });
    });

    test("the name given counts, not the form's", async () => {
      const bytes = makeBytes(100, 54);
      const answer = await sendForm(`${service.url}/upload?filename=given.pdf`, [[filePart('form.txt'), bytes]]);
      const { status, url } = json<{ status: string; url: string }>(answer);
      expect(status).toBe('ok');
      const { headers } = await send('GET', url);
      expect(headers).toMatchObject({
        'content-type': 'application/pdf',
        'content-disposition': 'inline; filename="given.pdf"',
      });
      expect(headers.etag).toContain(md5(bytes));
    });

    test.each(['md5=xyz', 'md5=00', 'sha256=xyz'])('?%s is 400', async (query) => {
      const answer = await leavingNothing(() => sendForm(`${service.url}/upload?${query}`, [[filePart('a.txt'), 'x']]));
      expect([answer.status, answer.code]).toEqual([400, 'invalid_field']);
      expect(json(answer)).toMatchObject({ error: { field: query.split('=')[0] } });
    });

    test.each([1, 2])('a refusal while the body is still coming can be read by a client of Node (%i)', async () => {
      const headers = { 'Content-Type': 'multipart/form-data; boundary=here' };
      const body = muchData(Buffer.from(`--here\r\n${filePart('much.bin')}\r\n\r\n`));
      const answer = await leavingNothing(() => send('POST', `${service.url}/upload`, { headers, body }));
      expect([answer.status, answer.code]).toEqual([413, 'too_large']);
      expect(answer.headers.connection).toBe('close');
    });
  });
});

describe('a refusal while the body is still coming', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  test.each([
    ['POST', '/upload', 415, {}],
    ['POST', '/nowhere', 404, {}],
    ['PUT', '/check', 405, {}],
    ['POST', '/uploads', 413, { 'Tus-Resumable': '1.0.0', 'Upload-Length': '200000000' }],
    ['PATCH', '/uploads/none', 404, { 'Tus-Resumable': '1.0.0', 'Upload-Offset': '0' }],
    ['PATCH', '/api/files/none', 413, { 'Content-Type': 'application/json' }],
  ] as const)('%s %s: %i', async (method, path, status, headers) => {
    const type = 'Tus-Resumable' in headers ? { 'Content-Type': 'application/offset+octet-stream' } : {};
    const answer = await send(method, service.url + path, {
      headers: { ...type, ...headers },
      body: muchData(Buffer.from('')),
    });
    expect(answer.status).toBe(status);
    expect(answer.code).toBeDefined();
  });

  test('a client that sends nothing more gets its answer at once, and is disconnected', async () => {
    const answer = await raw(service, 'POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc');
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    expect(answer).toContain('"not_found"');
  });
});
