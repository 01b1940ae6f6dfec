import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { startService, type RunningService } from '../harness/service.ts';
import { PART } from '../harness/part.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { idOf } from '../system/support.ts';
import { type Answer, createUpload, encodeMetadata, head, patch, send, TUS } from '../harness/tus.ts';

const OFFSET_TYPE = { 'Content-Type': 'application/offset+octet-stream' };

/** MD5 of what the address in an answer serves. */
async function publishedMd5(answer: Answer): Promise<string> {
  const published = await fetch(answer.headers['tidemark-file-url'] as string);
  return md5(Buffer.from(await published.arrayBuffer()));
}

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService({ MAX_FILE_SIZE: '10MiB' });
  });
  afterAll(() => service.stop());

  describe('the tus protocol', () => {
    test('OPTIONS tells version, extensions and limit', async () => {
      const answer = await send('OPTIONS', `${service.url}/uploads`);
      expect(answer.status).toBe(200);
      expect(answer.headers).toMatchObject({
        'tus-version': '1.0.0',
        'tus-resumable': '1.0.0',
        'tus-extension':
          'creation,creation-with-upload,creation-defer-length,expiration,termination,checksum,checksum-trailer,concatenation,concatenation-unfinished',
        'tus-checksum-algorithm': 'sha1,md5,sha256,crc32c',
        'tus-max-size': String(10 * 1024 * 1024),
      });
    });

    test('an upload in three requests, and its state between them', async () => {
      const bytes = makeBytes(300_000, 1);
      const metadata = { filename: 'ü "quoted".txt', md5: md5(bytes), note: '', last: 'x' };
      const location = await createUpload(service.url, bytes.length, metadata);
      const first = await patch(location, 0, bytes.subarray(0, 100_000));
      expect(first.status).toBe(204);
      expect(first.headers).toMatchObject({ 'upload-offset': '100000', 'cache-control': 'no-store' });
      expect(Date.parse(first.headers['upload-expires'] as string)).toBeGreaterThan(Date.now());

      const state = await head(location);
      expect(state.status).toBe(200);
      expect(state.headers).toMatchObject({
        'upload-offset': '100000',
        'upload-length': '300000',
        'cache-control': 'no-store',
        'upload-metadata': encodeMetadata(metadata),
      });
      expect(state.headers['upload-expires']).toBeDefined();

      const last = await patch(location, 100_000, bytes.subarray(100_000));
      expect(last.status).toBe(204);
      expect(last.headers['upload-expires']).toBeUndefined();
      const published = await send('GET', last.headers['tidemark-file-url'] as string);
      expect(published.status).toBe(200);
      expect(published.headers['content-length']).toBe('300000');

      const done = await head(location);
      expect(done.headers).toMatchObject({ 'upload-offset': '300000', 'upload-length': '300000' });
      expect((await send('GET', location)).headers['content-length']).toBe('300000');
      // The answer to the last PATCH may have been lost.
      expect((await patch(location, 300_000, '')).status).toBe(204);
    });

    test.each([
      ['missing', {}],
      ['of another version', { 'Tus-Resumable': '0.2.2' }],
    ])('Tus-Resumable %s is 412 with Tus-Version', async (_, headers) => {
      const answer = await send('POST', `${service.url}/uploads`, { headers: { 'Upload-Length': '1', ...headers } });
      expect(answer.status).toBe(412);
      expect(answer.headers['tus-version']).toBe('1.0.0');
      expect(answer.code).toBe('unsupported_tus_version');
    });

    test('a Content-Type that is missing or another is 415', async () => {
      const location = await createUpload(service.url, 3);
      const headers = { ...TUS, 'Upload-Offset': '0' };
      expect((await send('PATCH', location, { headers, body: 'abc' })).status).toBe(415);
      expect((await patch(location, 0, 'abc', { 'Content-Type': 'text/plain' })).status).toBe(415);
      const creation = await send('POST', `${service.url}/uploads`, {
        headers: { ...TUS, 'Upload-Length': '3', 'Content-Type': 'text/plain' },
        body: 'abc',
      });
      expect(creation.status).toBe(415);
      expect((await head(location)).headers['upload-offset']).toBe('0');
    });

    test.each(['', '-1', '1.5', 'x', '0x10', '00', '99999999999999999999'])(
      'Upload-Offset %j is 400',
      async (offset) => {
        const location = await createUpload(service.url, 3);
        const answer = await send('PATCH', location, {
          headers: { ...TUS, ...OFFSET_TYPE, 'Upload-Offset': offset },
          body: 'abc',
        });
        expect(answer.status).toBe(400);
        expect(answer.body).toContain('Upload-Offset');
      },
    );

    test('a missing Upload-Offset is 400', async () => {
      const location = await createUpload(service.url, 3);
      expect((await send('PATCH', location, { headers: { ...TUS, ...OFFSET_TYPE }, body: 'abc' })).status).toBe(400);
    });

    test('409 carries the current offset', async () => {
      const location = await createUpload(service.url, 6);
      await patch(location, 0, 'abc');
      const answer = await patch(location, 1, 'abc');
      expect(answer.status).toBe(409);
      expect(answer.headers['upload-offset']).toBe('3');
      expect(answer.code).toBe('offset_conflict');
    });

    test('creation with upload, in one request and in two', async () => {
      const bytes = makeBytes(20_000, 4);
      async function create(body: Buffer): Promise<Awaited<ReturnType<typeof send>>> {
        return send('POST', `${service.url}/uploads`, {
          headers: { ...TUS, ...OFFSET_TYPE, 'Upload-Length': String(bytes.length) },
          body,
        });
      }
      const whole = await create(bytes);
      expect(whole.status).toBe(201);
      expect(whole.headers['upload-offset']).toBe('20000');
      expect(await publishedMd5(whole)).toBe(md5(bytes));

      const part = await create(bytes.subarray(0, 5_000));
      expect(part.headers['upload-offset']).toBe('5000');
      expect(part.headers['upload-expires']).toBeDefined();
      const rest = await patch(part.headers.location ?? '', 5_000, bytes.subarray(5_000));
      expect(await publishedMd5(rest)).toBe(md5(bytes));
    });

    test('a deferred length, declared with the last bytes or alone', async () => {
      for (const declareAlone of [false, true]) {
        const created = await send('POST', `${service.url}/uploads`, {
          headers: { ...TUS, 'Upload-Defer-Length': '1' },
        });
        expect(created.status).toBe(201);
        const location = created.headers.location ?? '';
        await patch(location, 0, 'hello ');
        expect((await head(location)).headers).toMatchObject({ 'upload-defer-length': '1', 'upload-offset': '6' });
        const last = declareAlone
          ? await patch(location, 6, 'world').then(() => patch(location, 11, '', { 'Upload-Length': '11' }))
          : await patch(location, 6, 'world', { 'Upload-Length': '11' });
        expect(last.status).toBe(204);
        expect(await publishedMd5(last)).toBe(md5(Buffer.from('hello world')));
      }
    });

    test('a length that is declared twice or too small is 400', async () => {
      const created = await send('POST', `${service.url}/uploads`, { headers: { ...TUS, 'Upload-Defer-Length': '1' } });
      const location = created.headers.location ?? '';
      await patch(location, 0, 'hello ');
      expect((await patch(location, 6, 'w', { 'Upload-Length': '3' })).status).toBe(400);
      expect((await patch(location, 6, 'w', { 'Upload-Length': '11' })).status).toBe(204);
      expect((await patch(location, 7, 'o', { 'Upload-Length': '11' })).status).toBe(400);
    });

    test('termination removes an unfinished upload', async () => {
      for (const sent of [3, PART + 1000]) {
        const location = await createUpload(service.url, PART + 2000);
        const left = async (): Promise<string[]> =>
          (await service.unfinished()).filter((name) => name.includes(idOf(location)));
        expect((await patch(location, 0, makeBytes(sent, 6))).status).toBe(204);
        expect(await left()).not.toEqual([]);
        expect((await send('DELETE', location, { headers: TUS })).status).toBe(204);
        expect((await head(location)).status).toBe(410);
        expect((await patch(location, sent, 'def')).status).toBe(410);
        expect(await left()).toEqual([]);
      }
    });

    test('termination of a published upload deletes its file', async () => {
      const contents = await service.contents();
      const location = await createUpload(service.url, 9, { filename: 'gone.txt' });
      const done = await patch(location, 0, 'to delete');
      expect((await send('DELETE', location, { headers: TUS })).status).toBe(204);
      expect((await head(location)).status).toBe(404);
      expect((await send('GET', done.headers['tidemark-file-url'] as string)).status).toBe(404);
      expect(await service.contents()).toEqual(contents);
    });

    test('X-HTTP-Method-Override makes a POST a PATCH, HEAD or DELETE', async () => {
      const location = await createUpload(service.url, 6);
      const headers = { ...TUS, ...OFFSET_TYPE, 'Upload-Offset': '0', 'X-HTTP-Method-Override': 'PATCH' };
      expect((await send('POST', location, { headers, body: 'abc' })).status).toBe(204);
      const looked = await send('POST', location, { headers: { ...TUS, 'X-HTTP-Method-Override': 'HEAD' } });
      expect(looked.headers['upload-offset']).toBe('3');
      const ended = await send('POST', location, { headers: { ...TUS, 'X-HTTP-Method-Override': 'DELETE' } });
      expect(ended.status).toBe(204);
    });

    test('X-HTTP-Method-Override counts, whatever the request is', async () => {
      const overridden = (method: string, url: string, meant: string, more: Record<string, string> = {}) =>
        send(method, url, { headers: { ...TUS, 'X-HTTP-Method-Override': meant, ...more } });
      const options = await overridden('POST', `${service.url}/uploads`, 'OPTIONS');
      expect([options.status, options.headers['tus-version']]).toEqual([200, '1.0.0']);
      const created = await overridden('PUT', `${service.url}/uploads`, 'post', { 'Upload-Length': '6' });
      expect(created.status).toBe(201);
      const { location = '' } = created.headers;
      const headers = { ...OFFSET_TYPE, 'Upload-Offset': '0', ...TUS, 'X-HTTP-Method-Override': 'PATCH' };
      expect((await send('PUT', location, { headers, body: 'abcdef' })).status).toBe(204);
      for (const method of ['GET', 'PATCH', 'DELETE']) {
        expect((await overridden(method, location, 'HEAD')).headers['upload-offset']).toBe('6');
      }
      expect((await overridden('POST', location, 'GET')).body).toBe('abcdef');
      expect((await overridden('GET', location, 'DELETE')).status).toBe(204);
      // A refused HEAD has no body; one that was sent as a POST has.
      expect(await overridden('POST', location, 'HEAD')).toMatchObject({ status: 404, code: 'not_found' });
      expect((await overridden('HEAD', location, 'PATCH', OFFSET_TYPE)).body).toBe('');
      for (const meant of ['PUT', 'NOPE', 'a b']) {
        expect(await overridden('POST', location, meant)).toMatchObject({ status: 405, code: 'method_not_allowed' });
      }
      // Below /uploads alone.
      expect((await overridden('GET', `${service.url}/api/files`, 'DELETE')).status).toBe(200);
    });

    test('GET of an unfinished upload is 404', async () => {
      const location = await createUpload(service.url, 6);
      await patch(location, 0, 'abc');
      expect((await send('GET', location)).status).toBe(404);
    });

    test('an empty file needs no PATCH, and waits for nothing', async () => {
      const begunMs = performance.now();
      const created = await send('POST', `${service.url}/uploads`, { headers: { ...TUS, 'Upload-Length': '0' } });
      expect(created.status).toBe(201);
      // Much less than LOCK_TIMEOUT, for which a look waits for a request that is to bring bytes.
      expect(performance.now() - begunMs).toBeLessThan(8_000);
      const done = await head(created.headers.location ?? '');
      expect(done.headers).toMatchObject({ 'upload-offset': '0', 'upload-length': '0' });
      expect(done.headers['tidemark-file-id']).toBeDefined();
    });
  });

  describe('limits', () => {
    test('a length beyond MAX_FILE_SIZE is 413, declared at once, later, or never', async () => {
      const length = String(10 * 1024 * 1024 + 1);
      const declared = await send('POST', `${service.url}/uploads`, { headers: { ...TUS, 'Upload-Length': length } });
      expect(declared.status).toBe(413);
      const created = await send('POST', `${service.url}/uploads`, { headers: { ...TUS, 'Upload-Defer-Length': '1' } });
      const location = created.headers.location ?? '';
      expect((await patch(location, 0, 'abc', { 'Upload-Length': length })).status).toBe(413);
      expect((await patch(location, 0, Buffer.alloc(10 * 1024 * 1024 + 1))).status).toBe(413);
    });

    test('more bytes than declared are 413, with a length and without', async () => {
      const location = await createUpload(service.url, 3);
      expect((await patch(location, 0, 'abcdef')).status).toBe(413);
      const chunked = await patch(location, 0, 'abcdef', { 'Transfer-Encoding': 'chunked' });
      expect(chunked.status).toBe(413);
      expect((await head(location)).headers['upload-offset']).toBe('0');
      expect((await patch(location, 0, 'abc')).status).toBe(204);
    });

    test('a wrong MD5 is 460; nothing is published and the bytes go', async () => {
      const contents = await service.contents();
      for (const size of [1000, PART + 1000]) {
        const bytes = makeBytes(size, 5);
        const location = await createUpload(service.url, bytes.length, { md5: md5(Buffer.from('other')) });
        const answer = await patch(location, 0, bytes);
        expect(answer.status).toBe(460);
        expect(answer.code).toBe('digest_mismatch');
        expect((await head(location)).status).toBe(410);
        expect((await send('GET', `${service.url}/files/${md5(bytes)}`)).status).toBe(404);
        expect((await service.unfinished()).filter((name) => name.includes(idOf(location)))).toEqual([]);
        expect(await service.contents()).toEqual(contents);
      }
    });
  });
});

describe('bad input', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  test.each([
    ['both lengths', { 'Upload-Length': '1', 'Upload-Defer-Length': '1' }],
    ['no length', {}],
    ['a negative length', { 'Upload-Length': '-1' }],
    ['a fractional length', { 'Upload-Length': '1.5' }],
    ['another deferred length', { 'Upload-Defer-Length': '2' }],
  ])('%s is 400', async (_, headers) => {
    const answer = await send('POST', `${service.url}/uploads`, { headers: { ...TUS, ...headers } });
    expect(answer.status).toBe(400);
    expect(answer.code).toBe('invalid_field');
  });

  test.each([
    ['not Base64', 'filename a*b'],
    ['a key twice', 'filename YQ==,filename Yg=='],
    ['three tokens', 'filename YQ== YQ=='],
    ['an empty pair', 'filename YQ==,,note Yg=='],
    ['over 8 KiB', `note ${Buffer.alloc(9_000, 'a').toString('base64')}`],
    ['an MD5 of 31 digits', encodeMetadata({ md5: 'a'.repeat(31) })],
    ['an MD5 with other letters', encodeMetadata({ md5: 'g'.repeat(32) })],
  ])('metadata: %s is 400', async (_, metadata) => {
    const answer = await send('POST', `${service.url}/uploads`, {
      headers: { ...TUS, 'Upload-Length': '1', 'Upload-Metadata': metadata },
    });
    expect(answer.status).toBe(400);
    expect(['invalid_metadata', 'invalid_field']).toContain(answer.code);
  });

  test('unknown uploads and paths that are none', async () => {
    for (const id of [
      'nope',
      '00000000-0000-0000-0000-000000000000',
      '..',
      '%2e%2e',
      'a%2fb',
      'a%00b',
      'x'.repeat(5000),
      '%',
    ]) {
      for (const method of ['HEAD', 'PATCH', 'DELETE', 'GET']) {
        const answer = await send(method, service.url, {
          rawPath: `/uploads/${id}`,
          headers: { ...TUS, ...(method === 'PATCH' ? { ...OFFSET_TYPE, 'Upload-Offset': '0' } : {}) },
        });
        expect([400, 404], `${method} /uploads/${id}`).toContain(answer.status);
      }
    }
  });
});
