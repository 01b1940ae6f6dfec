/** What an owner can learn of what others have: nothing, with any answer that names a content both could have. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { send } from '../harness/tus.ts';
import { bearer, json, putFile } from './support.ts';

const ANNA = bearer('annas-secret-1');
const BERT = bearer('berts-secret-2');
const TOKENS = 'anna:annas-secret-1, bert:berts-secret-2';

describeOverFolderAndBucket((store) => {
  describe.each(['owner', 'off'])('INSTANT=%s', (INSTANT) => {
    let service: StoredService;
    beforeAll(async () => {
      service = await store.startService({ AUTH_TOKENS: TOKENS, INSTANT });
    });
    afterAll(() => service.stop());

    async function tagOf(url: string): Promise<string> {
      return String((await send('HEAD', url, { headers: ANNA })).headers.etag);
    }

    /** The tags of a guess that is sent, deleted and sent again, between two contents that no owner has. */
    async function probe(bytes: Buffer, seed: number): Promise<string[]> {
      const tags: string[] = [];
      for (const [index, content] of [makeBytes(99, seed), bytes, bytes, makeBytes(99, seed + 1)].entries()) {
        const { url, fileId } = await putFile(service.url, content, { filename: `${index}.bin` }, ANNA);
        tags.push(await tagOf(url));
        expect(await tagOf(`${service.url}/files/${md5(content)}`)).toBe(tags.at(-1));
        await send('DELETE', `${service.url}/api/files/${fileId}`, { headers: ANNA });
      }
      return tags;
    }

    test('a tag tells nothing of the contents of others', async () => {
      const [here, nowhere] = [makeBytes(5_000, 41), makeBytes(5_000, 42)];
      await putFile(service.url, here, { filename: 'berts.bin' }, BERT);
      for (const [bytes, seed] of [
        [here, 50],
        [nowhere, 60],
      ] as const) {
        const tags = await probe(bytes, seed);
        // A tag that stays the same would tell that another owner kept the content; a numbered one, how many were made in between.
        expect(new Set(tags).size).toBe(tags.length);
        for (const tag of tags) expect(tag).toMatch(/^"[0-9a-f]{32}\.[\w-]{16}"$/);
      }
      const mine = await putFile(service.url, here, { filename: 'mine.bin' }, ANNA);
      expect(await tagOf(mine.url)).toBe(await tagOf(mine.url));
      const berts = await send('HEAD', `${service.url}/files/${md5(here)}`, { headers: BERT });
      expect(berts.status).toBe(200);
      expect(berts.headers.etag).not.toBe(await tagOf(mine.url));
    });

    test('a digest that another owner has asked for is not seen', async () => {
      const bytes = makeBytes(5_000, 43);
      const mine = await putFile(service.url, bytes, { filename: 'mine.bin' }, ANNA);
      const his = await putFile(service.url, bytes, { filename: 'his.bin' }, BERT);
      const look = async (): Promise<unknown[]> =>
        Promise.all(
          [
            `/api/files/${mine.fileId}`,
            '/api/files?search=mine',
            `/check?md5=${md5(bytes)}`,
            `/file/meta?filehash=${md5(bytes)}`,
            `/file/meta?filehash=${sha256(bytes)}`,
            `/files/${sha256(bytes)}`,
          ].map(async (path) => {
            const { status, body } = await send('GET', service.url + path, { headers: ANNA });
            return [path, status, body];
          }),
        );
      const before = await look();
      const asked = `${service.url}/check?md5=${md5(bytes)}&sha256=${sha256(bytes)}`;
      const answer = json<{ status: string }>(await send('GET', asked, { headers: BERT }));
      expect(answer.status).toBe(INSTANT === 'off' ? 'notfound' : 'exists');
      expect(await look()).toEqual(before);
      // One that compares nothing, for another size, tells her nothing of it either.
      await send('GET', `${asked}&size=4999`, { headers: ANNA });
      expect(await look()).toEqual(before);
      // Who asked is told what is known by then.
      const asker = await send('GET', `${service.url}/api/files/${his.fileId}`, { headers: BERT });
      expect(json(asker)['sha256']).toBe(INSTANT === 'off' ? undefined : sha256(bytes));
      const renamed = await send('PATCH', `${service.url}/api/files/${mine.fileId}`, {
        headers: { ...ANNA, 'Content-Type': 'application/json' },
        body: '{"name": "other.bin"}',
      });
      expect(renamed.status).toBe(200);
      expect(renamed.body).not.toContain('sha256');
    });
  });

  // Cursors are the catalog's, and the same over a bucket.
  test.each(store.name === 'local' ? ['folders'] : [])(
    'no cursor, and no id of a deletion, shows a number that counts the %s of others',
    async () => {
      const service = await store.startService({ AUTH_TOKENS: TOKENS, TRASH_TTL: '7d' });
      try {
        const ask = (method: string, path: string, headers = ANNA) => send(method, service.url + path, { headers });
        for (const name of ['a/1', 'a/2', 'b/c/3', 'd/4']) await putFile(service.url, name, { filename: name }, ANNA);
        await putFile(service.url, 'his', { filename: 'a/b/c/his' }, BERT);
        const lists = ['prefix=', 'prefix=a', 'recursive=true&prefix=', 'recursive=true&prefix=a'];
        const told = await Promise.all(
          lists.map(async (list) => {
            const page = await ask('GET', `/api/files?limit=1&${list}`);
            return json<{ nextCursor: string }>(page).nextCursor;
          }),
        );
        for (const [index, list] of lists.entries()) {
          const next = `/api/files?limit=1&${list}&cursor=${told[index]}`;
          expect((await ask('GET', next)).status, list).toBe(200);
          const his = await ask('GET', next, BERT);
          expect([his.status, his.code], list).toEqual([400, 'invalid_field']);
        }
        const { deletion } = json<{ deletion: string }>(await ask('DELETE', '/api/folders?path=a'));
        const [file] = json<{ files: { deletion: { id: string } }[] }>(await ask('GET', '/api/trash')).files;
        expect(file?.deletion.id).toBe(deletion);
        for (const text of [...told, deletion]) {
          // Of the text no part is readable, nor are any of the names in it.
          const bytes = Buffer.from(text, 'base64url').toString('latin1');
          expect(text).not.toMatch(/^\d+-\d+$/);
          expect(bytes).not.toMatch(/level|below|delete|files|folders|null/);
        }
        expect((await ask('DELETE', `/api/trash?deletion=${deletion}`, BERT)).status).toBe(404);
        expect((await ask('DELETE', `/api/trash?deletion=${deletion}`)).status).toBe(200);
      } finally {
        await service.stop();
      }
    },
  );
});
