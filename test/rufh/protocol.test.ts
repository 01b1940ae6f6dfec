/** The rules of "Resumable Uploads for HTTP", dialect by dialect, as bytes on the wire. Section names are those of the draft. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DIALECTS } from '../../server/protocols/rufh/dialects.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { head as tusHead, patch as tusPatch } from '../harness/tus.ts';
import { until } from '../system/support.ts';
import { headOf, openWire, sendWire, type WireAnswer } from './wire.ts';

const PARTIAL = { 'Content-Type': 'application/partial-upload' };
const BYTES = makeBytes(3_000, 49);
const SIZE = BYTES.length;

let service: RunningService;
beforeAll(async () => {
  service = await startService({ env: { MAX_FILE_SIZE: '1MiB', MAX_APPEND_SIZE: '100KB' } });
});
afterAll(() => service.stop());

type Fields = Record<string, string | number>;

function ask(method: string, path: string, fields: Fields, body?: string | Uint8Array) {
  return sendWire(service.port, method, path, fields, body);
}

function pathOf({ headers }: WireAnswer): string {
  return new URL(headers['location'] ?? '').pathname;
}

async function publishedMd5(answer: WireAnswer): Promise<string> {
  const path = new URL(answer.headers['tidemark-file-url'] ?? '').pathname;
  return md5(Buffer.from(await (await fetch(service.url + path)).arrayBuffer()));
}

/** How many files the service has. */
async function countFiles(): Promise<number> {
  const { total } = (await (await fetch(`${service.url}/api/files`)).json()) as { total: { files: number } };
  return total.files;
}

describe.each(DIALECTS.map((dialect) => [dialect.version, dialect] as const))('dialect %i', (version, dialect) => {
  const { ageKey, appendedStatus, hasMediaType, hasLength, completesByDefault } = dialect;
  const isOld = version <= 6;
  const V = { 'Upload-Draft-Interop-Version': version };
  /** The field of completion, as this dialect writes it. */
  const completes = (isComplete: boolean): Fields =>
    dialect.completion === 'Upload-Complete'
      ? { 'Upload-Complete': isComplete ? '?1' : '?0' }
      : { 'Upload-Incomplete': isComplete ? '?0' : '?1' };
  const told = (isComplete: boolean): Record<string, unknown> =>
    Object.fromEntries(Object.entries(completes(isComplete)).map(([name, value]) => [name.toLowerCase(), value]));
  const limit = new RegExp(`^max-size=1048576, min-size=0, max-append-size=100000, ${ageKey}=(86400|86399)$`);

  async function begin(body: string | Uint8Array = '', fields: Fields = {}): Promise<string> {
    const answer = await ask('POST', '/uploads', { ...V, ...completes(false), ...fields }, body);
    expect(answer.status).toBe(201);
    return pathOf(answer);
  }

  function append(path: string, offset: number, isComplete: boolean, body: string | Uint8Array, fields: Fields = {}) {
    const type = hasMediaType ? PARTIAL : {};
    return ask('PATCH', path, { ...V, ...type, 'Upload-Offset': offset, ...completes(isComplete), ...fields }, body);
  }

  const look = (path: string): ReturnType<typeof ask> => ask('HEAD', path, V);

  test('"Upload Creation": a careful one, two appends, and the end', async () => {
    const before = await countFiles();
    const created = await ask('POST', '/uploads', { ...V, ...completes(false) }, '');
    expect(created.status).toBe(201);
    expect(created.headers).toMatchObject({ ...told(false), 'upload-offset': '0', 'cache-control': 'no-store' });
    expect(created.headers['upload-limit']).toMatch(limit);
    expect(created.headers['upload-draft-interop-version']).toBe(String(version));
    expect(created.headers['tus-resumable']).toBeUndefined();
    const path = pathOf(created);

    const first = await append(path, 0, false, BYTES.subarray(0, 1_000));
    expect(first.status).toBe(appendedStatus);
    expect(first.headers).toMatchObject({ ...told(false), 'upload-offset': '1000' });
    expect(first.headers['location']).toBeUndefined();

    const state = await look(path);
    expect(state.status).toBe(204);
    expect(state.headers).toMatchObject({ ...told(false), 'upload-offset': '1000', 'cache-control': 'no-store' });
    expect(state.headers['upload-limit']).toMatch(limit);
    expect(await countFiles()).toBe(before);

    const last = await append(path, 1_000, true, BYTES.subarray(1_000));
    expect(last.status).toBe(201);
    expect(last.headers).toMatchObject({ ...told(true), 'upload-offset': String(SIZE) });
    expect(last.json).toMatchObject({ size: SIZE, md5: md5(BYTES) });
    expect(await publishedMd5(last)).toBe(md5(BYTES));
    expect((await look(path)).headers).toMatchObject({ ...told(true), 'upload-offset': String(SIZE) });
  });

  test.each(['/uploads', '/api/files'])('"Upload Creation": all of a file in one request to %s', async (target) => {
    const answer = await ask('POST', `${target}?name=a.bin`, { ...V, ...completes(true) }, BYTES);
    expect(answer.line).toBe('HTTP/1.1 201 Created');
    expect(answer.headers).toMatchObject(told(true));
    expect(answer.json).toMatchObject({ name: 'a.bin', size: SIZE, md5: md5(BYTES) });
    expect(answer.before.map(({ line }) => line)).toEqual(['HTTP/1.1 104 Upload Resumption Supported']);
    const [early] = answer.before;
    // Old drafts name the upload, newer ones what it became.
    expect(answer.headers['location']).toBe(
      isOld ? early?.headers['location'] : `http://127.0.0.1/api/files/${String(answer.json['id'])}`,
    );
    expect(early?.headers).toMatchObject({ 'upload-draft-interop-version': String(version) });
    expect(early?.headers['upload-limit']).toMatch(limit);
    expect(early?.headers['upload-offset']).toBeUndefined();
    expect((await look(pathOf(early as WireAnswer))).headers).toMatchObject(told(true));
  });

  test('"Upload Creation": PUT, and an empty file', async () => {
    const answer = await ask('PUT', '/uploads', { ...V, ...completes(true) }, '');
    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject({ size: 0 });
  });

  test('completion comes with ?1 only, not with the last byte', async () => {
    const before = await countFiles();
    // The same bytes under the same name would be the file that is there.
    const named = { 'Content-Disposition': `attachment; filename="${randomUUID()}"` };
    const path = await begin(BYTES, { ...named, ...(hasLength ? { 'Upload-Length': SIZE } : {}) });
    expect((await look(path)).headers).toMatchObject({ ...told(false), 'upload-offset': String(SIZE) });
    expect(await countFiles()).toBe(before);
    const end = await append(path, SIZE, true, '');
    expect(end.status).toBe(201);
    expect(await publishedMd5(end)).toBe(md5(BYTES));
    expect(await countFiles()).toBe(before + 1);
  });

  test('a chunked last append of a length that nobody announced', async () => {
    const path = await begin();
    const wire = await openWire(service.port);
    const type = hasMediaType ? PARTIAL : {};
    wire.write(
      headOf('PATCH', path, { ...V, ...type, 'Upload-Offset': 0, ...completes(true), 'Transfer-Encoding': 'chunked' }),
    );
    wire.write('5\r\nhello\r\n0\r\n\r\n');
    const answer = await wire.final();
    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject({ size: 5 });
    wire.cut();
  });

  test('"Upload Append": another offset is 409 with the right one', async () => {
    const path = await begin('abcdef');
    const answer = await append(path, 3, false, 'x');
    expect(answer.status).toBe(409);
    expect(answer.headers).toMatchObject({
      ...told(false),
      'upload-offset': '6',
      'content-type': 'application/problem+json',
    });
    expect(answer.json).toMatchObject({
      type: 'https://iana.org/assignments/http-problem-types#mismatching-upload-offset',
      status: 409,
      'expected-offset': 6,
      'provided-offset': 3,
    });
    expect((await append(path, 9, false, 'x')).status).toBe(409);
    expect((await look(path)).headers).toMatchObject({ 'upload-offset': '6' });
  });

  test('"Upload Append": the fields that it needs', async () => {
    const path = await begin();
    const type = hasMediaType ? PARTIAL : {};
    expect((await ask('PATCH', path, { ...V, ...type, ...completes(false) }, 'x')).status).toBe(400);
    const withoutCompletion = await ask('PATCH', path, { ...V, ...type, 'Upload-Offset': 0 }, 'x');
    expect(withoutCompletion.status).toBe(completesByDefault ? 201 : 400);
    const other = await append(await begin(), 0, false, 'x', { 'Content-Type': 'text/plain' });
    expect(other.status).toBe(hasMediaType ? 415 : appendedStatus);
  });

  test('an append to a complete upload: the last answer may have been lost', async () => {
    const path = await begin('abc');
    const last = await append(path, 3, true, '');
    const again = await append(path, 3, true, '');
    if (version <= 8) {
      expect(again.status).toBe(400);
      expect(again.json).toMatchObject({ type: 'https://iana.org/assignments/http-problem-types#completed-upload' });
    } else {
      expect(again.status).toBe(201);
      expect(again.json).toEqual(last.json);
      expect(again.headers).toMatchObject(told(true));
      // What it brings beyond the file is not in the file.
      for (const more of [
        await append(path, 3, true, 'def'),
        await append(path, 3, true, '', { 'Upload-Length': 6 }),
        await append(path, 3, true, '3\r\ndef\r\n0\r\n\r\n', { 'Transfer-Encoding': 'chunked' }),
      ]) {
        expect(more.status).toBe(400);
        expect(more.headers['upload-complete']).not.toBe('?1');
      }
      const wrong = await append(path, 1, true, 'bc');
      expect(wrong.status).toBe(409);
      expect(wrong.headers).toMatchObject(told(false));
    }
  });

  test('"Upload Cancellation": the upload is gone, a file stays', async () => {
    const path = await begin('abc');
    expect((await ask('DELETE', path, V)).status).toBe(204);
    for (const gone of [await look(path), await append(path, 3, true, ''), await ask('DELETE', path, V)]) {
      expect(gone.status).toBe(404);
    }
    const other = await begin('abcd');
    const last = await append(other, 4, true, '');
    expect((await ask('DELETE', other, V)).status).toBe(204);
    expect((await look(other)).status).toBe(404);
    expect(await publishedMd5(last)).toBe(md5(Buffer.from('abcd')));
  });

  test('HEAD and DELETE with the fields of an append', async () => {
    const path = await begin('abc');
    expect((await ask('HEAD', path, { ...V, 'Upload-Offset': 3 })).status).toBe(isOld ? 400 : 204);
    expect((await ask('DELETE', path, { ...V, ...completes(true) })).status).toBe(isOld ? 400 : 204);
  });

  test('GET tells the state, too', async () => {
    const path = await begin('abc');
    const answer = await ask('GET', path, V);
    expect(answer.status).toBe(204);
    expect(answer.headers).toMatchObject({ ...told(false), 'upload-offset': '3' });
  });

  test('"Limits": OPTIONS of both targets', async () => {
    for (const target of ['/uploads', '/api/files']) {
      const answer = await ask('OPTIONS', target, V);
      expect(answer.status).toBe(200);
      expect(answer.headers['upload-limit']).toMatch(limit);
    }
  });

  test('lengths that contradict each other', async () => {
    if (!hasLength) {
      // A field that this draft does not have is none.
      expect((await ask('POST', '/uploads', { ...V, ...completes(true), 'Upload-Length': 9 }, 'abc')).status).toBe(201);
      return;
    }
    const wrong = { type: 'https://iana.org/assignments/http-problem-types#inconsistent-upload-length', status: 400 };
    const one = await ask('POST', '/uploads', { ...V, ...completes(true), 'Upload-Length': 9 }, 'abc');
    expect([one.status, one.json]).toMatchObject([400, wrong]);
    const path = await begin('abc', { 'Upload-Length': 6 });
    expect((await look(path)).headers).toMatchObject({ 'upload-length': '6' });
    for (const refused of [
      await append(path, 3, false, 'd', { 'Upload-Length': 7 }),
      await append(path, 3, true, 'de'),
      await append(path, 3, false, 'defg'),
      await append(path, 3, true, ''),
    ]) {
      expect([refused.status, refused.json]).toMatchObject([400, wrong]);
    }
    expect((await look(path)).headers).toMatchObject({ ...told(false), 'upload-offset': '3' });
    expect((await append(path, 3, true, 'def')).status).toBe(201);
  });

  test('a known length that is exceeded while bytes come makes the upload invalid', async () => {
    const path = await begin('abc');
    const url = service.url + path;
    // Drafts without Upload-Length know it from a request that completes the upload, and breaks off.
    const broken = await openWire(service.port);
    const type = hasMediaType ? PARTIAL : {};
    const fields = { ...V, ...type, 'Upload-Offset': 3 };
    broken.write(headOf('PATCH', path, { ...fields, ...completes(true), 'Content-Length': 3 }));
    broken.write('d');
    await until('the byte has come', async () => (await tusHead(url)).headers['upload-offset'] === '4');
    broken.cut();
    const wire = await openWire(service.port);
    const more = { ...fields, 'Upload-Offset': 4, ...completes(false), 'Transfer-Encoding': 'chunked' };
    wire.write(headOf('PATCH', path, more));
    wire.write('3\r\nefg\r\n0\r\n\r\n');
    expect((await wire.final()).status).toBe(400);
    wire.cut();
    for (const refused of [await look(path), await append(path, 3, true, 'def')]) expect(refused.status).toBe(410);
  });
});

const V = { 'Upload-Draft-Interop-Version': 10 };

describe('requests', () => {
  test("Apple's, as its systems send it: a plain POST that can become resumable", async () => {
    const wire = await openWire(service.port);
    wire.write(
      'POST /api/files HTTP/1.1\r\nHost: 127.0.0.1\r\nUpload-Complete: ?1\r\nAccept: */*\r\n' +
        'Upload-Draft-Interop-Version: 6\r\nAccept-Language: en-US,en;q=0.9\r\nAccept-Encoding: gzip, deflate\r\n' +
        'Content-Type: image/heic\r\nContent-Disposition: inline; filename="IMG_0001.HEIC"\r\nUser-Agent: x/1 ' +
        `CFNetwork/1568.200.51 Darwin/24.1.0\r\nContent-Length: ${SIZE}\r\nConnection: keep-alive\r\n\r\n`,
    );
    // It breaks in the middle, and asks where to resume at the address that the 104 gave.
    wire.write(BYTES.subarray(0, 1_000));
    const early = await wire.next();
    expect(early.line).toBe('HTTP/1.1 104 Upload Resumption Supported');
    const path = pathOf(early);
    wire.cut();
    const state = await ask('HEAD', path, { 'Upload-Draft-Interop-Version': 6 });
    const offset = Number(state.headers['upload-offset']);
    expect(offset).toBeLessThanOrEqual(1_000);
    const fields = { 'Upload-Draft-Interop-Version': 6, 'Upload-Complete': '?1', 'Upload-Offset': offset, ...PARTIAL };
    const last = await ask('PATCH', path, fields, BYTES.subarray(offset));
    expect(last.status).toBe(201);
    expect(last.json).toMatchObject({ name: 'IMG_0001.HEIC', type: 'image/heic', md5: md5(BYTES) });
  });

  test.each([
    ['without fields of the protocol', {}],
    ['in a dialect that nobody knows', { 'Upload-Draft-Interop-Version': 99, 'Upload-Complete': '?1' }],
    ['without a dialect', { 'Upload-Complete': '?1' }],
    ['with a field of another type', { ...V, 'Upload-Complete': '1' }],
    ['with a decimal for a dialect', { 'Upload-Draft-Interop-Version': '10.0', 'Upload-Complete': '?1' }],
  ])('an ordinary upload, %s', async (_, fields) => {
    const answer = await ask(
      'POST',
      '/api/files?name=b%C3%A4r.txt',
      { ...fields, 'Content-Type': 'text/plain' },
      BYTES,
    );
    expect(answer.status).toBe(201);
    expect(answer.before).toEqual([]);
    expect(answer.json).toMatchObject({ name: 'bär.txt', type: 'text/plain', size: SIZE, md5: md5(BYTES) });
    expect(answer.headers['upload-complete']).toBeUndefined();
  });

  test.each([
    [{ 'Upload-Draft-Interop-Version': 99, 'Upload-Complete': '?0' }],
    [{ 'Upload-Complete': '?0' }],
    [{ 'Upload-Incomplete': '?1' }],
    [PARTIAL],
  ])('a part of a file is not taken for the whole: %j', async (fields) => {
    const before = await countFiles();
    for (const target of ['/uploads', '/api/files']) {
      const answer = await ask('POST', target, fields, 'abc');
      expect(answer.status).toBe(400);
      expect(answer.body).toContain('Upload-Draft-Interop-Version must be one of 10, 9');
    }
    expect(await countFiles()).toBe(before);
  });

  test('one that speaks tus, too, is 400, with every method', async () => {
    for (const method of ['POST', 'PATCH', 'HEAD', 'DELETE', 'GET']) {
      const path = method === 'POST' ? '/uploads' : '/uploads/x';
      const answer = await ask(method, path, { ...V, 'Upload-Complete': '?1', 'Tus-Resumable': '1.0.0' });
      expect(answer.status).toBe(400);
    }
    const target = await ask('POST', '/api/files', { 'Tus-Resumable': '1.0.0', 'Upload-Length': 5 });
    expect(target.status).toBe(400);
  });

  test('an upload goes from one protocol to the other and back', async () => {
    const created = await ask('POST', '/uploads', { ...V, 'Upload-Complete': '?0', 'Upload-Length': 9 }, 'abc');
    const path = pathOf(created);
    const url = service.url + path;
    expect((await tusHead(url)).headers).toMatchObject({ 'upload-offset': '3', 'upload-length': '9' });
    expect((await tusPatch(url, 3, 'def')).status).toBe(204);
    const fields = { ...V, ...PARTIAL, 'Upload-Offset': 6, 'Upload-Complete': '?0' };
    expect((await ask('PATCH', path, fields, 'ghi')).status).toBe(204);
    // It has all its bytes, and is not complete: in tus its length is not declared yet.
    expect((await tusHead(url)).headers).toMatchObject({ 'upload-offset': '9', 'upload-defer-length': '1' });
    expect((await tusPatch(url, 9, '', { 'Upload-Length': '9' })).headers['tidemark-file-id']).toBeDefined();

    const tus = await ask('POST', '/uploads', { 'Tus-Resumable': '1.0.0', 'Upload-Length': 6 });
    const other = pathOf(tus);
    const half = { ...V, ...PARTIAL, 'Upload-Offset': 0, 'Upload-Complete': '?0' };
    expect((await ask('PATCH', other, half, 'abc')).status).toBe(204);
    expect((await tusPatch(service.url + other, 3, 'def')).headers['tidemark-file-id']).toBeDefined();
  });

  test("a part of another upload, by tus's concatenation, is continued by tus alone", async () => {
    const fields = { 'Tus-Resumable': '1.0.0', 'Upload-Length': 3, 'Upload-Concat': 'partial' };
    const path = pathOf(await ask('POST', '/uploads', fields));
    const append = { ...V, ...PARTIAL, 'Upload-Offset': 0, 'Upload-Complete': '?1' };
    const refused = await ask('PATCH', path, append, 'abc');
    expect([refused.status, refused.json['code']]).toEqual([403, 'upload_is_partial']);
    expect((await ask('HEAD', path, V)).headers).toMatchObject({ 'upload-offset': '0', 'upload-length': '3' });
    expect((await tusPatch(service.url + path, 0, 'abc')).status).toBe(204);
  });

  test.each([
    ['too many digits', '1234567890123456'],
    ['beyond 2^53', '9007199254740993'],
    ['a decimal', '0.0'],
    ['a string', '"0"'],
    ['negative', '-1'],
    ['twice', '0, 0'],
  ])('Upload-Offset that is no whole number is 400: %s', async (_, offset) => {
    const path = pathOf(await ask('POST', '/uploads', { ...V, 'Upload-Complete': '?0' }, ''));
    const answer = await ask(
      'PATCH',
      path,
      { ...V, ...PARTIAL, 'Upload-Complete': '?0', 'Upload-Offset': offset },
      'x',
    );
    expect(answer.status).toBe(400);
    expect(answer.json).toMatchObject({ code: 'invalid_field', field: 'Upload-Offset' });
  });

  test.each(['abc', '1.5', '"9"', '1234567890123456'])(
    'Upload-Length of another type is ignored: %s',
    async (length) => {
      const fields = { ...V, 'Upload-Complete': '?1', 'Upload-Length': length };
      expect((await ask('POST', '/uploads', fields, 'abc')).status).toBe(201);
    },
  );

  test('a file that is too large is 413 with the limit, before a byte is read', async () => {
    for (const fields of [{ 'Upload-Length': 2 ** 20 + 1 }, { 'Content-Length': 2 ** 20 + 1 }]) {
      const answer = await ask('POST', '/uploads', { ...V, 'Upload-Complete': '?0', ...fields });
      expect(answer.status).toBe(413);
      expect(answer.headers['upload-limit']).toContain('max-size=1048576');
      expect(answer.headers['content-type']).toBe('application/problem+json');
      expect(answer.before).toEqual([]);
    }
  });

  test('names and types are labels, and a form is not a file', async () => {
    const disposition = { 'Content-Disposition': 'attachment; filename="x"; filename*=UTF-8\'\'%e4%bd%a0.txt' };
    expect((await ask('POST', '/api/files', disposition, 'abc')).json).toMatchObject({ name: '你.txt' });
    expect((await ask('POST', '/api/files', { 'Content-Disposition': '=' }, 'abc')).status).toBe(201);
    const form = await ask('POST', '/api/files', { 'Content-Type': 'multipart/form-data; boundary=x' }, 'abc');
    expect(form.status).toBe(415);
  });

  test('methods that are not there are 405 with those that are', async () => {
    expect((await ask('PATCH', '/uploads', V)).headers['allow']).toBe('POST, PUT, OPTIONS');
    expect((await ask('POST', '/uploads/x', V)).headers['allow']).toBe('HEAD, GET, PATCH, DELETE, OPTIONS');
    expect((await ask('HEAD', '/uploads/unknown', V)).status).toBe(404);
  });
});
