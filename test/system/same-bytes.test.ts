/** Equal bytes are one content; bytes that only share their MD5 are kept apart. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { COLLIDING, COLLIDING_MD5 } from '../harness/collision.ts';
import { PART } from '../harness/part.ts';
import { describeOverCatalogs, type StoredService } from '../harness/stores.ts';
import { createUpload, patch, send } from '../harness/tus.ts';
import { expectBytes, listFiles, until } from './support.ts';

const [FIRST, SECOND] = COLLIDING;

test('the two colliding blocks collide', () => {
  expect(FIRST.length).toBe(128);
  expect(FIRST.equals(SECOND)).toBe(false);
  expect([md5(FIRST), md5(SECOND)]).toEqual([COLLIDING_MD5, COLLIDING_MD5]);
  expect(sha256(FIRST)).not.toBe(sha256(SECOND));
});

describeOverCatalogs((store) => {
  // All tests share one service: each leaves it empty.
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterEach(async () => {
    for (const { id } of await listFiles(service)) await send('DELETE', `${service.url}/api/files/${id}`);
    await until('their bytes are gone', async () => (await service.contents()).length === 0);
  });
  afterAll(() => service.stop());

  /** Uploads bytes over tus; the address of the file they became. */
  async function upload(bytes: Buffer, filename: string): Promise<string> {
    const location = await createUpload(service.url, bytes.length, { filename, md5: md5(bytes) });
    const answer = await patch(location, 0, bytes);
    expect(answer.status).toBe(204);
    return answer.headers['tidemark-file-url'] as string;
  }

  /** Uploads bytes as a form; what the service answers. */
  async function uploadForm(bytes: Buffer, filename: string, query = ''): Promise<{ status: string; url: string }> {
    const form = new FormData();
    form.append('file', new Blob([new Uint8Array(bytes)]), filename);
    const answer = await fetch(`${service.url}/upload?filename=${filename}${query}`, { method: 'POST', body: form });
    expect(answer.status).toBe(200);
    return (await answer.json()) as { status: string; url: string };
  }

  async function check(query: string): Promise<{ status: string; url?: string }> {
    return JSON.parse((await send('GET', `${service.url}/check?${query}`)).body) as { status: string; url?: string };
  }

  describe('the same bytes', () => {
    test('from several clients at once are one content, and a file for each', async () => {
      const bytes = makeBytes(PART + 5, 41);
      const names = ['a.bin', 'b.bin', 'c.txt', 'd'];
      const urls = await Promise.all(names.map((name) => upload(bytes, name)));
      for (const url of urls) await expectBytes(url, bytes);
      const files = await listFiles(service);
      expect(files.map(({ name }) => name).toSorted()).toEqual(names);
      expect(await service.contents()).toHaveLength(1);
      // The bytes stay until the last of them is deleted.
      for (const { id, url } of files) {
        await expectBytes(url, bytes);
        expect((await send('DELETE', `${service.url}/api/files/${id}`)).status).toBe(204);
      }
      expect(await service.contents()).toEqual([]);
    });

    test('uploaded while the same content is being deleted are whole afterwards', async () => {
      const bytes = makeBytes(300_000, 42);
      await upload(bytes, 'round-0.bin');
      for (let round = 1; round <= 10; round++) {
        const [old] = await listFiles(service);
        const [url] = await Promise.all([
          upload(bytes, `round-${round}.bin`),
          send('DELETE', `${service.url}/api/files/${old?.id}`),
        ]);
        await expectBytes(url, bytes);
        expect(await service.contents()).toHaveLength(1);
      }
    });
  });

  // Which digests are computed has nothing to do with the bucket, nor with the dialect.
  const digestsOf = { local: ['md5', 'md5,sha256'], Ceph: ['md5,sha256'], OSS: ['md5'] };
  describe.each(digestsOf[store.name])('different bytes with one MD5, DIGESTS=%s', (digests) => {
    beforeAll(() => service.restart({ DIGESTS: digests }));

    /** Both are here, each under an address of its own. */
    async function expectApart(first: string, second: string): Promise<void> {
      await expectBytes(first, FIRST);
      await expectBytes(second, SECOND);
      const ofFirst = await check(`md5=${COLLIDING_MD5}&sha256=${sha256(FIRST)}`);
      const ofSecond = await check(`md5=${COLLIDING_MD5}&sha256=${sha256(SECOND)}`);
      expect([ofFirst.status, ofSecond.status]).toEqual(['exists', 'exists']);
      await expectBytes(ofFirst.url ?? '', FIRST);
      await expectBytes(ofSecond.url ?? '', SECOND);
      // The MD5 alone does not say which of them is meant.
      expect((await check(`md5=${COLLIDING_MD5}`)).status).toBe('notfound');
      expect((await check(`md5=${COLLIDING_MD5}&sha256=${'0'.repeat(64)}`)).status).toBe('notfound');
      const files = await listFiles(service);
      expect(files).toHaveLength(2);
      for (const { name, url } of files) await expectBytes(url, name.startsWith('first') ? FIRST : SECOND);
      expect(await service.contents()).toHaveLength(2);
    }

    test('are kept apart, and deleting one leaves the other', async () => {
      const first = await upload(FIRST, 'first.bin');
      // The second is not here, whatever its MD5 says.
      expect((await check(`md5=${COLLIDING_MD5}&sha256=${sha256(SECOND)}`)).status).toBe('notfound');
      const second = await upload(SECOND, 'second.bin');
      await expectApart(first, second);
      await service.restart();
      await expectApart(new URL(new URL(first).pathname, service.url).href, second);

      // Each again: folded into its own.
      await expectBytes(await upload(SECOND, 'second.bin'), SECOND);
      await expectBytes(await upload(FIRST, 'first.bin'), FIRST);
      expect(await service.contents()).toHaveLength(2);

      for (const { id, name } of await listFiles(service)) {
        if (name === 'first.bin') expect((await send('DELETE', `${service.url}/api/files/${id}`)).status).toBe(204);
      }
      expect((await send('GET', first)).status).toBe(404);
      await expectBytes(second, SECOND);
      const renewed = await upload(FIRST, 'first.bin');
      await expectBytes(renewed, FIRST);
      await expectBytes(second, SECOND);
    });

    test('are kept apart when they come at once', async () => {
      const [first, second] = await Promise.all([upload(FIRST, 'first.bin'), upload(SECOND, 'second.bin')]);
      await expectApart(first, second);
    });

    test('are kept apart as forms', async () => {
      const first = await uploadForm(FIRST, 'first.bin');
      const second = await uploadForm(SECOND, 'second.bin', `&md5=${COLLIDING_MD5}&sha256=${sha256(SECOND)}`);
      expect([first.status, second.status]).toEqual(['ok', 'ok']);
      await expectApart(first.url, second.url);
      const again = await uploadForm(SECOND, 'second.bin', `&md5=${COLLIDING_MD5}&sha256=${sha256(SECOND)}`);
      expect(again.status).toBe('exists');
      await expectBytes(again.url, SECOND);
    });
  });
});
