/** Different bytes with one MD5: no answer about the one is given for the other. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { COLLIDING, COLLIDING_MD5 } from '../harness/collision.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { type Answer, createUpload, head, patch, send } from '../harness/tus.ts';
import { bearer, filePart, json, putFile, sendForm } from './support.ts';

/** A colliding pair with the same bytes after it: still a colliding pair (MD5 is a chain of blocks). */
function colliding(suffix: Uint8Array): [Buffer, Buffer] {
  const [first, second] = COLLIDING;
  return [Buffer.concat([first, suffix]), Buffer.concat([second, suffix])];
}

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  function check(query: Record<string, string>): Promise<Answer> {
    return send('GET', `${service.url}/check?${new URLSearchParams(query).toString()}`);
  }

  async function bytesAt(url: string): Promise<string> {
    return sha256(new Uint8Array(await (await fetch(url)).arrayBuffer()));
  }

  async function namesOf(digest: string): Promise<string[]> {
    const { files } = json<{ files: { name: string; md5: string }[] }>(
      await send('GET', `${service.url}/api/files?limit=1000`),
    );
    return files
      .filter((file) => file.md5 === digest)
      .map((file) => file.name)
      .toSorted();
  }

  test('with a SHA-256, an unfinished upload is named only where it declared the same', async () => {
    const [a, b] = colliding(makeBytes(9_000, 61));
    const digest = md5(a);
    expect(md5(b)).toBe(digest);
    const undeclared = await createUpload(service.url, a.length, { md5: digest });
    await patch(undeclared, 0, a.subarray(0, 5_000));
    expect(json(await check({ md5: digest, sha256: sha256(a) }))).toEqual({ status: 'notfound' });
    expect(json(await check({ md5: digest }))).toMatchObject({ status: 'uploading', resume: { url: undeclared } });

    const location = await createUpload(service.url, a.length, { md5: digest, sha256: sha256(a) });
    await patch(location, 0, a.subarray(0, 4_000));
    const resume = { url: location, offset: 4_000 };
    expect(json(await check({ md5: digest, sha256: sha256(a) }))).toMatchObject({ status: 'uploading', resume });
    expect(json(await check({ md5: digest, sha256: sha256(b) }))).toEqual({ status: 'notfound' });
  });

  test('with a SHA-256, an upload that has no bytes yet is named as well', async () => {
    const bytes = makeBytes(9_000, 62);
    const declared = { md5: md5(bytes), sha256: sha256(bytes) };
    const location = await createUpload(service.url, bytes.length, declared);
    await createUpload(service.url, bytes.length, { md5: md5(bytes) });
    expect(json(await check({ ...declared, size: '9000' }))).toMatchObject({ resume: { url: location, offset: 0 } });
  });

  describe('POST /upload?md5=', () => {
    test('a form is compared with what is here by its bytes', async () => {
      const [a, b] = COLLIDING;
      const first = await putFile(service.url, a, { filename: 'a.bin' });
      const form = (bytes: Buffer, name: string) =>
        sendForm(`${service.url}/upload?md5=${COLLIDING_MD5}`, [[filePart(name), bytes]]);

      const apart = json<{ status: string; url: string }>(await form(b, 'b.bin'));
      expect(apart.status).toBe('ok');
      expect(await bytesAt(apart.url)).toBe(sha256(b));
      expect(await bytesAt(first.url)).toBe(sha256(a));

      expect(json(await form(b, 'b.bin'))).toMatchObject({ status: 'exists', url: apart.url });
      expect(json(await form(a, 'a.bin'))).toMatchObject({ status: 'exists', url: first.url });
      expect(await namesOf(COLLIDING_MD5)).toEqual(['a.bin', 'b.bin']);
    });

    test('a form with the bytes that are here gets a file by its name, once', async () => {
      const bytes = makeBytes(300_000, 63);
      const stored = await putFile(service.url, bytes, { filename: 'known.txt' });
      const before = [await service.contents(), await service.unfinished()];
      const query = new URLSearchParams({ md5: md5(bytes), filename: 'again.txt' });
      const addresses = new Set<string>();
      for (let count = 0; count < 2; count++) {
        const answer = await sendForm(`${service.url}/upload?${query.toString()}`, [[filePart('x.txt'), bytes]]);
        expect([answer.status, json(answer)]).toMatchObject([200, { status: 'exists' }]);
        addresses.add(json<{ url: string }>(answer).url);
      }
      expect(addresses.size).toBe(1);
      const unnamed = await sendForm(`${service.url}/upload?md5=${md5(bytes)}`, [[filePart('known.txt'), bytes]]);
      expect(json(unnamed)).toMatchObject({ status: 'exists', url: stored.url });
      expect(await namesOf(md5(bytes))).toEqual(['again.txt', 'known.txt']);
      expect([await service.contents(), await service.unfinished()]).toEqual(before);
    });

    test('bytes of another MD5 than the one that is here are refused, and change nothing', async () => {
      const bytes = makeBytes(3_000, 64);
      await putFile(service.url, bytes, { filename: 'right.txt' });
      const form = await sendForm(`${service.url}/upload?md5=${md5(bytes)}&filename=wrong.txt`, [
        [filePart('x.txt'), 'other bytes altogether'],
      ]);
      expect([form.status, form.code]).toEqual([460, 'digest_mismatch']);
      expect(await namesOf(md5(bytes))).toEqual(['right.txt']);
    });

    test('a SHA-256 is proof: the bytes are not read', async () => {
      const [a, b] = colliding(makeBytes(70_000, 65));
      const stored = await putFile(service.url, a, { filename: 'proof.txt' });
      const post = (digest: string, bytes: Buffer) =>
        sendForm(`${service.url}/upload?md5=${md5(a)}&sha256=${digest}&filename=proof.txt`, [
          [filePart('x.txt'), bytes],
        ]);
      const exists = { status: 'exists', url: stored.url };
      expect(json(await post(sha256(a), Buffer.from('nobody looks at these')))).toMatchObject(exists);
      const apart = json<{ status: string; url: string }>(await post(sha256(b), b));
      expect(apart.status).toBe('ok');
      expect(await bytesAt(apart.url)).toBe(sha256(b));
    });

    test('while another client sends bytes with this MD5, a form is taken unless both declare the same SHA-256', async () => {
      const [a, b] = colliding(makeBytes(50_000, 66));
      const location = await createUpload(service.url, a.length, { md5: md5(a), sha256: sha256(a), filename: 'a' });
      await patch(location, 0, a.subarray(0, 1_000));
      const url = `${service.url}/upload?md5=${md5(a)}`;
      expect(json(await sendForm(`${url}&sha256=${sha256(a)}`, [[filePart('a'), a]]))).toEqual({ status: 'uploading' });

      const taken = json<{ status: string; url: string }>(await sendForm(url, [[filePart('b'), b]]));
      expect(taken.status).toBe('ok');
      expect(await bytesAt(taken.url)).toBe(sha256(b));
      expect((await head(location)).headers['upload-offset']).toBe('1000');
      const rest = await patch(location, 1_000, a.subarray(1_000));
      expect(await bytesAt(String(rest.headers['tidemark-file-url']))).toBe(sha256(a));
    });
  });
});

describe('wherever the bytes are', () => {
  const ANN = 'secret-of-ann-0123456789';
  const BOB = 'secret-of-bob-0123456789';
  let service: RunningService;
  beforeAll(async () => {
    service = await startService({ env: { AUTH_TOKENS: `ann:${ANN},bob:${BOB}` } });
  });
  afterAll(() => service.stop());

  test("a form never says that another owner's content is here", async () => {
    const bytes = makeBytes(4_000, 67);
    await putFile(service.url, bytes, { filename: 'hers.txt' }, bearer(ANN));
    const form = () => sendForm(`${service.url}/upload?md5=${md5(bytes)}`, [[filePart('his.txt'), bytes]], bearer(BOB));
    expect(json(await form())['status']).toBe('ok');
    expect(json(await form())['status']).toBe('exists');
  });

  test("an MD5 alone means one's own content, whatever others have; of several of one's own, none", async () => {
    const [hers, his] = colliding(makeBytes(5_000, 68));
    const ask = (path: string, who = BOB, method = 'GET'): Promise<Answer> =>
      send(method, `${service.url}${path}`, { headers: bearer(who) });
    const check = `/check?md5=${md5(his)}`;
    const meta = `/file/meta?filehash=${md5(his)}`;
    await putFile(service.url, hers, { filename: 'hers.bin' }, bearer(ANN));
    const { url: fileUrl } = await putFile(service.url, his, { filename: 'his.bin' }, bearer(BOB));
    expect(json(await ask(check))).toMatchObject({ status: 'exists', url: fileUrl });
    expect(json(await ask(meta))).toMatchObject({ FileName: 'his.bin', Location: fileUrl });
    expect(json(await ask(check, ANN))).toMatchObject({ status: 'exists', file: { name: 'hers.bin' } });
    // The address says which content it is of: it is not served for the other.
    expect((await ask(`/files/${md5(his)}`)).status).toBe(404);

    await putFile(service.url, hers, { filename: 'both.bin' }, bearer(BOB));
    expect(json(await ask(check))).toEqual({ status: 'notfound' });
    for (const [path, method] of [
      [meta, 'GET'],
      [`/file/delete?filehash=${md5(his)}`, 'DELETE'],
    ] as const) {
      const answer = await ask(path, BOB, method);
      expect([answer.status, answer.code], path).toEqual([404, 'not_found']);
      expect(answer.body).toContain('You have different files with this digest');
    }
    expect(json(await ask(`${meta}-1`))).toMatchObject({ FileName: 'his.bin' });
    expect(sha256(Buffer.from(await (await fetch(fileUrl, { headers: bearer(BOB) })).arrayBuffer()))).toBe(sha256(his));
  });
});
