import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { type Answer, createUpload, encodeMetadata, patch, send, TUS } from '../harness/tus.ts';
import { openPatch } from '../system/support.ts';
import { json, putFile } from './support.ts';

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  function check(query: Record<string, string>, method = 'GET'): Promise<Answer> {
    return send(method, `${service.url}/check?${new URLSearchParams(query).toString()}`);
  }

  async function namesOf(digest: string): Promise<string[]> {
    const { files } = json<{ files: { name: string; md5: string }[] }>(
      await send('GET', `${service.url}/api/files?limit=1000`),
    );
    return files.filter((file) => file.md5 === digest).map((file) => file.name);
  }

  describe('/check', () => {
    test('a content that no owner has is notfound', async () => {
      const answer = await check({ md5: '0'.repeat(32) });
      expect([answer.status, json(answer)]).toEqual([200, { status: 'notfound' }]);
      expect(answer.headers['cache-control']).toBe('no-store');
    });

    test('a published file exists, with its address and description', async () => {
      const bytes = makeBytes(5_000, 31);
      const stored = await putFile(service.url, bytes, { filename: 'here.dat' });
      const answer = json(await check({ md5: md5(bytes).toUpperCase() }));
      expect(answer).toEqual({
        status: 'exists',
        url: stored.url,
        file: {
          id: stored.fileId,
          name: 'here.dat',
          size: 5_000,
          md5: md5(bytes),
          type: null,
          uploadedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
          url: stored.url,
        },
      });
    });

    test('size and SHA-256 must fit too', async () => {
      const bytes = makeBytes(6_000, 32);
      await putFile(service.url, bytes, { filename: 'sized.dat' });
      const digest = md5(bytes);
      const other = sha256(Buffer.from('other'));
      for (const [query, status] of [
        [{ md5: digest, size: '6000' }, 'exists'],
        [{ md5: digest, size: '6001' }, 'notfound'],
        [{ md5: digest, sha256: sha256(bytes).toUpperCase() }, 'exists'],
        [{ md5: digest, sha256: other }, 'notfound'],
        [{ md5: digest, size: '6000', sha256: other, filename: 'wrong.dat' }, 'notfound'],
      ] as const) {
        expect(json(await check(query))['status'], JSON.stringify(query)).toBe(status);
      }
      expect(await namesOf(digest)).toEqual(['sized.dat']);
    });

    test('an unfinished upload can be resumed; it is uploading only while bytes come', async () => {
      const bytes = makeBytes(9_000, 33);
      const location = await createUpload(service.url, bytes.length, { md5: md5(bytes), filename: 'part.dat' });
      expect(json(await check({ md5: md5(bytes) }))).toEqual({
        status: 'notfound',
        resume: { url: location, offset: 0, length: 9_000, idle: expect.any(Number) },
      });
      await patch(location, 0, bytes.subarray(0, 4_000));
      expect(json(await check({ md5: md5(bytes) }))).toEqual({
        status: 'uploading',
        resume: { url: location, offset: 4_000, length: 9_000, idle: expect.any(Number) },
      });
      expect(json(await check({ md5: md5(bytes), size: '9001' }))).toEqual({ status: 'notfound' });
      await patch(location, 4_000, bytes.subarray(4_000));
      expect(json(await check({ md5: md5(bytes) }))['status']).toBe('exists');
    });

    test('bytes that come make it uploading, long before a bucket has them', async () => {
      const bytes = makeBytes(9_000, 35);
      const location = await createUpload(service.url, bytes.length, { md5: md5(bytes) });
      const running = openPatch(location, 0, bytes.length);
      await running.write(bytes.subarray(0, 4_000));
      await expect
        .poll(async () => json(await check({ md5: md5(bytes) })))
        .toMatchObject({ status: 'uploading', resume: { url: location } });
      // Nor does it matter how many others have begun since.
      for (let count = 0; count < 12; count++) await createUpload(service.url, bytes.length, { md5: md5(bytes) });
      expect(json(await check({ md5: md5(bytes), size: '9000' }))).toMatchObject({
        status: 'uploading',
        resume: { url: location },
      });
      expect(json(await check({ md5: md5(bytes), size: '9001' }))).toEqual({ status: 'notfound' });
      await running.write(bytes.subarray(4_000));
      running.end();
      expect(await running.answer).toMatchObject({ status: 204 });
      expect(json(await check({ md5: md5(bytes) }))['status']).toBe('exists');
    });

    test('an upload with bytes is resumed, however many have been begun since', async () => {
      const bytes = makeBytes(9_000, 36);
      const location = await createUpload(service.url, bytes.length, { md5: md5(bytes) });
      await patch(location, 0, bytes.subarray(0, 4_000));
      for (let count = 0; count < 12; count++) await createUpload(service.url, 8_000 + count, { md5: md5(bytes) });
      const resume = { url: location, offset: 4_000 };
      expect(json(await check({ md5: md5(bytes) }))).toMatchObject({ status: 'uploading', resume });
      expect(json(await check({ md5: md5(bytes), size: '9000' }))).toMatchObject({ status: 'uploading', resume });
    });

    test('a length declared late counts as one declared at once', async () => {
      const bytes = makeBytes(9_000, 37);
      const created = await send('POST', `${service.url}/uploads`, {
        headers: { ...TUS, 'Upload-Defer-Length': '1', 'Upload-Metadata': encodeMetadata({ md5: md5(bytes) }) },
      });
      const location = created.headers.location ?? '';
      const running = openPatch(location, 0, bytes.length, { 'Upload-Length': '9000' });
      await running.write(bytes.subarray(0, 4_000));
      await expect.poll(async () => json(await check({ md5: md5(bytes), size: '9000' }))['status']).toBe('uploading');
      expect(json(await check({ md5: md5(bytes), size: '9001' }))).toEqual({ status: 'notfound' });
      running.destroy();
    });

    test('a filename gives the owner a file, once; HEAD never does', async () => {
      const bytes = makeBytes(7_000, 34);
      const stored = await putFile(service.url, bytes, { filename: 'first.dat' });
      const digest = md5(bytes);
      const looked = await check({ md5: digest, filename: 'second.txt' }, 'HEAD');
      expect([looked.status, looked.body]).toEqual([200, '']);
      expect(await namesOf(digest)).toEqual(['first.dat']);

      const given = json<{ status: string; url: string; file: { id: string; name: string } }>(
        await check({ md5: digest, filename: 'second.txt' }),
      );
      expect(given).toMatchObject({ status: 'exists', file: { name: 'second.txt', type: 'text/plain' } });
      expect(given.file.id).not.toBe(stored.fileId);
      expect((await send('GET', given.url)).status).toBe(200);

      const again = await Promise.all([1, 2, 3].map(() => check({ md5: digest, filename: 'second.txt' })));
      for (const answer of again) expect(json<typeof given>(answer).file.id).toBe(given.file.id);
      expect((await namesOf(digest)).toSorted()).toEqual(['first.dat', 'second.txt']);
      expect(json(await check({ md5: '1'.repeat(32), filename: 'nothing.txt' }))).toEqual({ status: 'notfound' });
    });

    test('a page of another origin makes no file, also not by an <img>', async () => {
      const bytes = makeBytes(7_000, 35);
      await putFile(service.url, bytes, { filename: 'mine.dat' });
      const digest = md5(bytes);
      const ask = (from: string, name: string): Promise<Answer> =>
        send('GET', `${service.url}/check?md5=${digest}&filename=${name}`, { headers: { 'Sec-Fetch-Site': from } });
      for (const from of ['cross-site', 'same-site', 'x']) {
        const answer = await ask(from, 'planted.dat');
        expect([answer.status, answer.code]).toEqual([403, 'origin_not_allowed']);
        expect(answer.body).toContain('Ask without filename');
        // It makes nothing without a name.
        const look = { headers: { 'Sec-Fetch-Site': from } };
        expect((await send('GET', `${service.url}/check?md5=${digest}`, look)).status).toBe(200);
        expect((await send('HEAD', `${service.url}/check?md5=${digest}&filename=x`, look)).status).toBe(200);
      }
      expect(await namesOf(digest)).toEqual(['mine.dat']);
      for (const from of ['same-origin', 'none']) expect((await ask(from, 'own.dat')).status).toBe(200);
      expect((await namesOf(digest)).toSorted()).toEqual(['mine.dat', 'own.dat']);
    });

    test('replaces a file only for a request that no image of a page elsewhere can be', async () => {
      const [mine, taxes] = [makeBytes(7_100, 36), makeBytes(7_200, 37)];
      await putFile(service.url, mine, { filename: 'mine2.dat' });
      await putFile(service.url, taxes, { filename: 'taxes.xlsx' });
      const ask = (headers: Record<string, string>): Promise<Answer> =>
        send('GET', `${service.url}/check?md5=${md5(mine)}&filename=taxes.xlsx&onconflict=replace`, { headers });
      // Browsers tell nothing of where it comes from to an address with http.
      for (const headers of [{}, { Referer: 'http://elsewhere.example/' }, { Authorization: 'Basic YTpi' }]) {
        const answer = await ask(headers);
        expect([answer.status, answer.code]).toEqual([403, 'origin_not_allowed']);
        expect(answer.body).toContain('X-Requested-With');
      }
      expect(await namesOf(md5(taxes))).toEqual(['taxes.xlsx']);
      expect(await namesOf(md5(mine))).toEqual(['mine2.dat']);
      expect((await ask({ 'X-Requested-With': 'x' })).status).toBe(200);
      expect(await namesOf(md5(taxes))).toEqual([]);
    });
  });
});

describe('/check', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  test.each([
    ['md5', {}],
    ['md5', { md5: '' }],
    ['md5', { md5: 'a'.repeat(31) }],
    ['md5', { md5: 'g'.repeat(32) }],
    ['md5', { md5: `${'a'.repeat(31)}\n` }],
    ['size', { size: '' }],
    ['size', { size: '-1' }],
    ['size', { size: '1.5' }],
    ['size', { size: '1e3' }],
    ['size', { size: '99999999999999999999' }],
    ['sha256', { sha256: 'a'.repeat(63) }],
  ])('a wrong %s is refused: %j', async (field, query) => {
    const given = new URLSearchParams(field === 'md5' ? query : { md5: 'a'.repeat(32), ...query });
    const answer = await send('GET', `${service.url}/check?${given.toString()}`);
    expect(answer.status).toBe(400);
    expect(json(answer)).toEqual({
      status: 'error',
      error: { code: 'invalid_field', field, message: expect.any(String) },
    });
  });
});
