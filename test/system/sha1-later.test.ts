/** SHA-1 of every content, without a setting: clients of the older API know nothing else. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { filePart, json, putFile, sendForm } from '../http/support.ts';
import { makeBytes } from '../harness/bytes.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { createUpload, patch, send } from '../harness/tus.ts';

interface Listed {
  files: { name: string; sha1?: string }[];
}

function sha1(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex');
}

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService({ DIGESTS: 'md5' });
  });
  afterAll(() => service.stop());

  test('is filled in for older contents, and resumed after a kill', { timeout: 90_000 }, async () => {
    const contents = Array.from({ length: 6 }, (_, index) => makeBytes(200_000, 15_100 + index));
    for (const [index, bytes] of contents.entries()) await putFile(service.url, bytes, { filename: `${index}` });
    const known = async (): Promise<(string | undefined)[]> => {
      const listed = json<Listed>(await send('GET', `${service.url}/api/files?limit=100`));
      return contents.map((_, index) => listed.files.find(({ name }) => name === `${index}`)?.sha1);
    };
    expect(await known()).toEqual(contents.map(() => undefined));
    // An empty value is the default.
    await service.restart({ DIGESTS: '' });
    await service.restart();
    await expect.poll(known, { timeout: 60_000 }).toEqual(contents.map(sha1));
  });

  test('by default the older API takes a SHA-1 as soon as a file is sent', async () => {
    for (let turn = 0; turn < 5; turn += 1) {
      const bytes = makeBytes(5_000, 15_000 + turn);
      expect((await sendForm(`${service.url}/file/upload`, [[filePart('seed.txt'), bytes]])).status).toBe(302);
      const filehash = sha1(bytes);
      const meta = await send('GET', `${service.url}/file/meta?filehash=${filehash}`);
      expect([meta.status, json(meta)['FileSha1']]).toEqual([200, filehash]);
      const download = await send('GET', `${service.url}/file/download?filehash=${filehash}`);
      expect([download.status, download.headers['content-length']]).toEqual([200, '5000']);
      const updated = await send('POST', `${service.url}/file/update?op=0&filehash=${filehash}&filename=new.txt`);
      expect(json(updated)).toMatchObject({ FileSha1: filehash, FileName: 'new.txt' });
      expect((await send('POST', `${service.url}/file/delete?filehash=${filehash}`)).status).toBe(200);
      expect((await send('GET', `${service.url}/file/meta?filehash=${filehash}`)).status).toBe(404);
    }
  });

  test('one that is declared is compared before anything is published', async () => {
    const bytes = makeBytes(5_000, 15_200);
    const wrong = await createUpload(service.url, bytes.length, { sha1: '0'.repeat(40) });
    const refused = await patch(wrong, 0, bytes);
    expect([refused.status, refused.code]).toEqual([460, 'digest_mismatch']);
    const right = await createUpload(service.url, bytes.length, { sha1: sha1(bytes) });
    const fileId = (await patch(right, 0, bytes)).headers['tidemark-file-id'];
    expect(json(await send('GET', `${service.url}/api/files/${String(fileId)}`))['sha1']).toBe(sha1(bytes));
  });
});
