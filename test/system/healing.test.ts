/** Bytes of a content that are gone or damaged: never told as here, never served as if right, and healed by the same bytes. */
import { readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UploadRecord } from '../../server/catalog/catalog.ts';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { COLLIDING } from '../harness/collision.ts';
import { startFaultProxy } from '../harness/fault-proxy.ts';
import { BUCKETS } from '../harness/buckets.ts';
import { inCatalog } from '../harness/catalog-file.ts';
import { PART } from '../harness/part.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { describeOverStores, type StoredService } from '../harness/stores.ts';
import { type Answer, createUpload, head, patch, send } from '../harness/tus.ts';
import { leaveAt, prepare } from './prepare.ts';
import { expectBytes, listFiles, storedNames, until } from './support.ts';
import { CAN_TRACE, injectAt } from './trace.ts';

type Damage = 'deleted' | 'truncated' | 'flipped' | 'longer';

/** Damages a content, by its name in the store; the first one where none is given. */
async function damage(service: StoredService, how: Damage, name?: string): Promise<void> {
  const content = name ?? (await service.contents())[0] ?? '';
  if (how === 'deleted') return service.loseContent(content);
  return service.changeContent(content, (bytes) => {
    if (how === 'truncated') return bytes.subarray(0, bytes.length - 1);
    if (how === 'longer') return Buffer.concat([bytes, Buffer.from('more')]);
    const flipped = Buffer.from(bytes);
    const at = bytes.length >> 1;
    flipped[at] = (bytes[at] ?? 0) ^ 1;
    return flipped;
  });
}

async function sendByTus(service: { url: string }, bytes: Buffer, filename: string): Promise<Answer> {
  const location = await createUpload(service.url, bytes.length, { filename, md5: md5(bytes) });
  return patch(location, 0, bytes);
}

async function sendAsForm(service: { url: string }, bytes: Buffer, filename: string, query = ''): Promise<Answer> {
  const form = new FormData();
  form.append('file', new Blob([new Uint8Array(bytes)]), filename);
  const answer = await fetch(`${service.url}/upload?filename=${filename}${query}`, { method: 'POST', body: form });
  return { status: answer.status, headers: {}, body: await answer.text(), code: undefined };
}

async function check(service: { url: string }, query: string): Promise<{ status: string }> {
  return JSON.parse((await send('GET', `${service.url}/check?${query}`)).body) as { status: string };
}

describeOverStores((store) => {
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

  /** The digests that the service computes now. */
  let computed = 'md5';
  async function restartWith(digests: string): Promise<void> {
    if (computed !== digests) await service.restart({ DIGESTS: digests });
    computed = digests;
  }

  /** Damages the one content that holds these bytes; it is not told as here any more, nor served. */
  async function spoil(bytes: Buffer, how: Damage, name: string): Promise<void> {
    await damage(service, how, name);
    if (how !== 'flipped') {
      expect(await check(service, `md5=${md5(bytes)}`)).toEqual({ status: 'notfound' });
      expect(await check(service, `md5=${md5(bytes)}&filename=instant.bin`)).toEqual({ status: 'notfound' });
      const address = `${service.url}/files/${md5(bytes)}`;
      const ranges = bytes.length > 0 ? [{}, { Range: 'bytes=0-9' }, { Range: 'bytes=-1' }] : [{}];
      for (const headers of ranges) {
        const refused = await send('GET', address, { headers });
        expect([refused.status, refused.code]).toEqual([500, 'content_damaged']);
        expect(refused.headers['content-length']).toBe(String(refused.body.length));
      }
      expect((await head(address)).status).toBe(500);
    }
    // Told by a SHA-256, all of it is read.
    expect(await check(service, `md5=${md5(bytes)}&sha256=${'0'.repeat(64)}`)).toEqual({ status: 'notfound' });
  }

  // Which digests are computed has nothing to do with the bucket.
  test.each({ local: ['md5', 'md5,sha256'], Ceph: ['md5'], OSS: ['md5,sha256'] }[store.name])(
    'the same bytes heal what was lost, DIGESTS=%s',
    async (digests) => {
      await restartWith(digests);
      const said = service.output().length;
      const healed: { bytes: Buffer; etag: string | undefined }[] = [];
      let seed = 310;
      for (const how of ['deleted', 'truncated', 'flipped', 'longer'] as const) {
        for (const way of ['tus', 'form', 'form with md5']) {
          // Of two parts, where there are parts, now and then.
          const bytes = makeBytes(how === 'flipped' && way !== 'form' ? PART + 5 : 70_000, ++seed);
          const before = await service.contents();
          expect((await sendByTus(service, bytes, `${how} ${way} first`)).status).toBe(204);
          const name = (await service.contents()).find((content) => !before.includes(content)) ?? '';
          const { etag } = (await head(`${service.url}/files/${md5(bytes)}`)).headers;
          await spoil(bytes, how, name);
          if (way === 'tus') {
            expect((await sendByTus(service, bytes, `${how} ${way} second`)).status).toBe(204);
          } else {
            const query = way === 'form' || how === 'flipped' ? '' : `&md5=${md5(bytes)}`;
            const answer = await sendAsForm(service, bytes, `${how} ${way} second`, query);
            expect(answer.body).toContain('"status":"ok"');
          }
          healed.push({ bytes, etag });
          expect(await service.contents()).toHaveLength(healed.length);
        }
      }
      // An empty file that is gone is healed too.
      const nothing = Buffer.alloc(0);
      const before = await service.contents();
      expect((await sendAsForm(service, nothing, 'empty first')).status).toBe(200);
      const name = (await service.contents()).find((content) => !before.includes(content)) ?? '';
      await spoil(nothing, 'deleted', name);
      expect((await sendAsForm(service, nothing, 'empty second')).status).toBe(200);
      healed.push({ bytes: nothing, etag: undefined });
      expect(service.output().slice(said)).toMatch(/"level":50,.*bytes of a content are gone/);

      for (let life = 1; life <= 2; life++) {
        for (const { bytes, etag } of healed) {
          const address = `${service.url}/files/${md5(bytes)}`;
          await expectBytes(address, bytes);
          if (etag !== undefined) expect((await head(address)).headers['etag']).toBe(etag);
          expect((await check(service, `md5=${md5(bytes)}&sha256=${sha256(bytes)}`)).status).toBe('exists');
        }
        const files = await listFiles(service);
        expect(files).toHaveLength(2 * healed.length);
        for (const { url, size } of files)
          expect((await send('HEAD', url)).headers['content-length']).toBe(String(size));
        expect(await service.contents()).toHaveLength(healed.length);
        expect(await service.unfinished()).toEqual([]);
        if (life === 1) await service.restart();
      }
      // The healed bytes are joined like any others, and go with the last file.
      const last = healed[0]?.bytes ?? nothing;
      expect((await sendByTus(service, last, 'third')).status).toBe(204);
      expect(await service.contents()).toHaveLength(healed.length);
      for (const { id } of await listFiles(service)) await send('DELETE', `${service.url}/api/files/${id}`);
      expect(await service.contents()).toEqual([]);
    },
  );

  const [FIRST, SECOND] = COLLIDING;

  test.each<Damage>(['deleted', 'flipped'])(
    '%s: bytes that only share the MD5, as the SHA-256 proves, are kept apart',
    async (how) => {
      await restartWith('md5,sha256');
      expect((await sendByTus(service, FIRST, 'first.bin')).status).toBe(204);
      await damage(service, how);
      expect((await sendByTus(service, SECOND, 'second.bin')).status).toBe(204);
      await expectBytes(`${service.url}/files/${md5(SECOND)}-1`, SECOND);
      expect((await sendByTus(service, FIRST, 'first again.bin')).status).toBe(204);
      await expectBytes(`${service.url}/files/${md5(FIRST)}`, FIRST);
      await expectBytes(`${service.url}/files/${md5(SECOND)}-1`, SECOND);
      expect(await service.contents()).toHaveLength(2);
    },
  );

  test('a SHA-256 that is known counts though this upload computed none', async () => {
    await restartWith('md5,sha256');
    expect((await sendByTus(service, FIRST, 'first.bin')).status).toBe(204);
    await restartWith('md5');
    await damage(service, 'flipped');
    expect((await sendByTus(service, SECOND, 'second.bin')).status).toBe(204);
    await expectBytes(`${service.url}/files/${md5(SECOND)}-1`, SECOND);
    expect((await sendByTus(service, FIRST, 'first again.bin')).status).toBe(204);
    await expectBytes(`${service.url}/files/${md5(FIRST)}`, FIRST);
    expect(await service.contents()).toHaveLength(2);
  });

  test('with a collision known, the proof says whose place is taken', async () => {
    await restartWith('md5');
    expect((await sendByTus(service, FIRST, 'first.bin')).status).toBe(204);
    const [first = ''] = await service.contents();
    await damage(service, 'deleted', first);
    expect((await sendByTus(service, SECOND, 'second.bin')).status).toBe(204);
    expect((await send('GET', `${service.url}/files/${md5(FIRST)}`)).status).toBe(500);
    expect((await sendByTus(service, FIRST, 'first again.bin')).status).toBe(204);
    await expectBytes(`${service.url}/files/${md5(FIRST)}`, FIRST);
    await expectBytes(`${service.url}/files/${md5(FIRST)}-1`, SECOND);
    expect(await service.contents()).toHaveLength(2);
  });

  test('with MD5 alone and a collision known, nothing takes the place of another', async () => {
    await restartWith('md5');
    expect((await sendByTus(service, FIRST, 'first.bin')).status).toBe(204);
    const [first = ''] = await service.contents();
    expect((await sendByTus(service, SECOND, 'second.bin')).status).toBe(204);
    await damage(service, 'deleted', first);
    // As a version without proofs has left it.
    await service.kill('SIGTERM');
    inCatalog(service.dataDir, 'UPDATE contents SET proof = NULL');
    await service.restart();
    expect((await sendByTus(service, FIRST, 'first again.bin')).status).toBe(204);
    await expectBytes(`${service.url}/files/${md5(FIRST)}-1`, SECOND);
    await expectBytes(`${service.url}/files/${md5(FIRST)}-2`, FIRST);
    expect((await send('GET', `${service.url}/files/${md5(FIRST)}`)).status).toBe(500);
  });

  test('a healing that was interrupted is completed, before it began and when it was done', async () => {
    // Of two parts, where there are parts.
    const both = [makeBytes(PART + 100_000, 305), makeBytes(PART + 100_000, 306)];
    const { folder, env } = await prepare(store.newPlace(), async (house) => {
      for (const [index, bytes] of both.entries()) {
        await leaveAt('published', house, bytes, `first ${index}`);
        const [content] = await house.catalog.findContents({ md5: md5(bytes) });
        await house.store.removeContent(content?.key ?? '');
        const id = await leaveAt('received', house, bytes, `second ${index}`);
        if (index === 1)
          await house.store.heal((await house.catalog.findUpload(id)) as UploadRecord, content?.key ?? '');
      }
    });
    const other = await store.startService(env, folder);
    onTestFinished(() => other.stop());
    await expect.poll(async () => (await listFiles(other)).length).toBe(4);
    for (const [index, bytes] of both.entries()) {
      const files = (await listFiles(other)).filter(({ name }) => name.endsWith(` ${index}`));
      expect(files).toHaveLength(2);
      for (const { url } of files) await expectBytes(url, bytes);
      await expectBytes(`${other.url}/files/${md5(bytes)}`, bytes);
    }
    await expect.poll(() => other.contents()).toHaveLength(2);
    await expect.poll(() => other.unfinished()).toEqual([]);
  });

  test('a SHA-256 is never learned from damaged bytes', async () => {
    await restartWith('md5');
    const bytes = makeBytes(100_000, 303);
    expect((await sendByTus(service, bytes, 'first.bin')).status).toBe(204);
    await damage(service, 'flipped');
    expect(await check(service, `md5=${md5(bytes)}&sha256=${sha256(bytes)}`)).toEqual({ status: 'notfound' });
    await restartWith('md5,sha256');
    expect((await sendByTus(service, bytes, 'second.bin')).status).toBe(204);
    for (const { url } of await listFiles(service)) await expectBytes(url, bytes);
    expect(await service.contents()).toHaveLength(1);
  });
});

describe.skipIf(!CAN_TRACE)('a SIGKILL while a file is healed', () => {
  let service: RunningService;
  let seed = 320;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  test.each(['unlink,unlinkat', 'link,linkat', 'rename,renameat,renameat2', 'fsync'])('at %s', async (calls) => {
    const before = await storedNames(service);
    const files = await listFiles(service);
    const bytes = makeBytes(300_000, seed++);
    expect((await sendByTus(service, bytes, 'first.bin')).status).toBe(204);
    const path = join(service.dataDir, 'files', `${md5(bytes)}.bin`);
    const damaged = Buffer.from(bytes);
    damaged[7] = (damaged[7] ?? 0) ^ 255;
    await writeFile(path, damaged);
    const location = await createUpload(service.url, bytes.length, { filename: 'second.bin' });
    expect((await patch(location, 0, bytes.subarray(0, 1000))).status).toBe(204);
    const trace = await injectAt(service.pid, calls, 'signal=KILL:when=1');
    await expect(patch(location, 1000, bytes.subarray(1000))).rejects.toBeInstanceOf(Error);
    await trace.stop();
    // Whole, the old or the new.
    expect([damaged, bytes].some((whole) => whole.equals(readFileSync(path)))).toBe(true);
    await service.restart();
    const { headers } = await head(location);
    const offset = Number(headers['upload-offset']);
    if (offset < bytes.length) expect((await patch(location, offset, bytes.subarray(offset))).status).toBe(204);
    await expectBytes(`${service.url}/files/${md5(bytes)}`, bytes);
    expect(await listFiles(service)).toHaveLength(files.length + 2);
    const names = [...before, `${md5(bytes)}.bin`].toSorted();
    await expect.poll(async () => (await storedNames(service)).toSorted()).toEqual(names);
  });
});

describe('bytes that only seem gone', () => {
  const bytes = makeBytes(100_000, 304);

  /** Nothing is told, nothing healed. */
  async function expectUnavailable(service: { url: string }): Promise<void> {
    const asked = await send('GET', `${service.url}/check?md5=${md5(bytes)}&filename=instant.bin`);
    expect([asked.status, asked.code]).toEqual([503, 'store_unavailable']);
    const got = await send('GET', `${service.url}/files/${md5(bytes)}`);
    expect([got.status, got.code]).toEqual([503, 'store_unavailable']);
  }

  test('in a folder that is not mounted, nor is anything stored in one that is there instead of the disk', async () => {
    const service = await startService();
    onTestFinished(() => service.stop());
    const first = await createUpload(service.url, bytes.length, { filename: 'first.bin' });
    expect((await patch(first, 0, bytes)).status).toBe(204);
    const begunBytes = makeBytes(100_000, 307);
    const begun = await createUpload(service.url, begunBytes.length);
    expect((await patch(begun, 0, begunBytes.subarray(0, 60_000))).status).toBe(204);
    const folder = join(service.dataDir, 'files');
    const aside = join(service.dataDir, 'aside');
    const ready = async (): Promise<number> => (await send('GET', `${service.url}/readyz`)).status;
    await rename(folder, aside);
    await expectUnavailable(service);
    await mkdir(folder);
    await expectUnavailable(service);
    const location = await createUpload(service.url, bytes.length, { filename: 'second.bin' });
    expect((await patch(location, 0, bytes)).status).toBe(503);
    const otherBytes = makeBytes(100_000, 308);
    const other = await createUpload(service.url, otherBytes.length);
    expect((await patch(other, 0, otherBytes)).status).toBe(503);
    const empty = await send('POST', `${service.url}/uploads`, {
      headers: { 'Tus-Resumable': '1.0.0', 'Upload-Length': '0' },
    });
    expect(empty.status).toBe(503);
    for (let attempt = 1; attempt <= 2; attempt++) {
      const refused = await patch(begun, 60_000, begunBytes.subarray(60_000));
      expect(refused.status, `attempt ${attempt}`).toBe(503);
      expect(refused.headers['retry-after']).toBe('5');
      expect((await head(begun)).headers['upload-offset']).toBe('60000');
    }
    expect(await ready()).toBe(503);
    expect(await storedNames(service)).toEqual([]);
    await rm(folder, { recursive: true });
    await rename(aside, folder);
    expect(await ready()).toBe(200);
    await expectBytes(`${service.url}/files/${md5(bytes)}`, bytes);
    expect(await check(service, `md5=${md5(bytes)}`)).toMatchObject({ status: 'exists' });
    expect((await patch(begun, 60_000, begunBytes.subarray(60_000))).status).toBe(204);
    await expectBytes(`${service.url}/files/${md5(begunBytes)}`, begunBytes);
    expect((await patch(other, 0, otherBytes)).status).toBe(204);
    await expectBytes(`${service.url}/files/${md5(otherBytes)}`, otherBytes);
  });

  test('a bucket that refuses to look', async () => {
    const bucket = await BUCKETS.find(({ name }) => name === 'OSS')?.start();
    if (!bucket) throw new Error('no double of OSS');
    onTestFinished(() => bucket.stop());
    const proxy = await startFaultProxy({ toPort: bucket.port });
    onTestFinished(() => proxy.stop());
    const service = await startService({ env: bucket.env(proxy.port) });
    onTestFinished(() => service.stop());
    const first = await createUpload(service.url, bytes.length, { filename: 'first.bin' });
    expect((await patch(first, 0, bytes)).status).toBe(204);
    const refused = { status: 403, code: 'AccessDenied', kind: 'answer' } as const;
    proxy.place({ operation: ['HeadObject', 'GetObject'], times: Infinity, fault: refused });
    await expectUnavailable(service);
    const location = await createUpload(service.url, bytes.length, { filename: 'second.bin' });
    expect((await patch(location, 0, bytes)).status).toBe(503);
    const before = await bucket.keys();
    expect(before.some((key) => key.startsWith(first.slice(first.lastIndexOf('/') + 1)))).toBe(true);
    proxy.clear();
    // A look publishes it.
    expect((await head(location)).status).toBe(200);
    await expectBytes(`${service.url}/files/${md5(bytes)}`, bytes);
    expect(await bucket.keys()).toHaveLength(1);
  });
});
