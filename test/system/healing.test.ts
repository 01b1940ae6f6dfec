/** Bytes of a content that are gone or damaged: never told as here, never served as if right, and healed by the same bytes. */
import { readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UploadRecord } from '../../server/catalog/catalog.ts';
import { describe, expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { COLLIDING } from '../harness/collision.ts';
import { startFaultProxy } from '../harness/fault-proxy.ts';
import { BUCKETS } from '../harness/buckets.ts';
import { inCatalog } from '../harness/catalog-file.ts';
import { startService } from '../harness/service.ts';
import { describeOverStores, PART, type StoredService } from '../harness/stores.ts';
import { type Answer, createUpload, head, patch, send } from '../harness/tus.ts';
import { leaveAt, prepare } from './prepare.ts';
import { expectBytes, listFiles, storedNames } from './support.ts';
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
  async function start(env: NodeJS.ProcessEnv = {}): Promise<StoredService> {
    const service = await store.startService(env);
    onTestFinished(() => service.stop());
    return service;
  }

  /** Damages the one content that holds these bytes; it is not told as here any more, nor served. */
  async function spoil(service: StoredService, bytes: Buffer, how: Damage, name: string): Promise<void> {
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
      const service = await start({ DIGESTS: digests });
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
          await spoil(service, bytes, how, name);
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
      await spoil(service, nothing, 'deleted', name);
      expect((await sendAsForm(service, nothing, 'empty second')).status).toBe(200);
      healed.push({ bytes: nothing, etag: undefined });
      expect(service.output()).toMatch(/"level":50,.*bytes of a content are gone/);

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
      const service = await start({ DIGESTS: 'md5,sha256' });
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
    const service = await start({ DIGESTS: 'md5,sha256' });
    expect((await sendByTus(service, FIRST, 'first.bin')).status).toBe(204);
    await service.restart({ DIGESTS: 'md5' });
    await damage(service, 'flipped');
    expect((await sendByTus(service, SECOND, 'second.bin')).status).toBe(204);
    await expectBytes(`${service.url}/files/${md5(SECOND)}-1`, SECOND);
    expect((await sendByTus(service, FIRST, 'first again.bin')).status).toBe(204);
    await expectBytes(`${service.url}/files/${md5(FIRST)}`, FIRST);
    expect(await service.contents()).toHaveLength(2);
  });

  test('with a collision known, the proof says whose place is taken', async () => {
    const service = await start();
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
    const service = await start();
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

  test.each(['before it began', 'when it was done'])('a healing that was interrupted %s is completed', async (when) => {
    // Of two parts, where there are parts.
    const bytes = makeBytes(PART + 500_000, 305);
    const { folder, env } = await prepare(store.newPlace(), async (house) => {
      await leaveAt('published', house, bytes, 'first.bin');
      const [content] = await house.catalog.findContents({ md5: md5(bytes) });
      await house.store.removeContent(content?.key ?? '');
      const id = await leaveAt('received', house, bytes, 'second.bin');
      if (when === 'when it was done') {
        await house.store.heal((await house.catalog.findUpload(id)) as UploadRecord, content?.key ?? '');
      }
    });
    const service = await store.startService(env, folder);
    onTestFinished(() => service.stop());
    await expect.poll(async () => (await listFiles(service)).length).toBe(2);
    for (const { url } of await listFiles(service)) await expectBytes(url, bytes);
    await expectBytes(`${service.url}/files/${md5(bytes)}`, bytes);
    await expect.poll(() => service.contents()).toHaveLength(1);
    await expect.poll(() => service.unfinished()).toEqual([]);
  });

  test('a SHA-256 is never learned from damaged bytes', async () => {
    const service = await start();
    const bytes = makeBytes(100_000, 303);
    expect((await sendByTus(service, bytes, 'first.bin')).status).toBe(204);
    await damage(service, 'flipped');
    expect(await check(service, `md5=${md5(bytes)}&sha256=${sha256(bytes)}`)).toEqual({ status: 'notfound' });
    await service.restart({ DIGESTS: 'md5,sha256' });
    expect((await sendByTus(service, bytes, 'second.bin')).status).toBe(204);
    for (const { url } of await listFiles(service)) await expectBytes(url, bytes);
    expect(await service.contents()).toHaveLength(1);
  });
});

describe.skipIf(!CAN_TRACE)('a SIGKILL while a file is healed', () => {
  test.each(['unlink,unlinkat', 'link,linkat', 'rename,renameat,renameat2', 'fsync'])('at %s', async (calls) => {
    const service = await startService();
    onTestFinished(() => service.stop());
    const bytes = makeBytes(300_000, 306);
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
    expect(await listFiles(service)).toHaveLength(2);
    await expect.poll(() => storedNames(service)).toEqual([`${md5(bytes)}.bin`]);
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

  test('a folder that is not mounted', async () => {
    const service = await startService();
    onTestFinished(() => service.stop());
    const first = await createUpload(service.url, bytes.length, { filename: 'first.bin' });
    expect((await patch(first, 0, bytes)).status).toBe(204);
    const folder = join(service.dataDir, 'files');
    const aside = join(service.dataDir, 'aside');
    await rename(folder, aside);
    await expectUnavailable(service);
    await mkdir(folder);
    await expectUnavailable(service);
    const location = await createUpload(service.url, bytes.length, { filename: 'second.bin' });
    expect((await patch(location, 0, bytes)).status).toBe(503);
    expect((await storedNames(service)).filter((name) => !name.startsWith('tmp_'))).toEqual([]);
    await rm(folder, { recursive: true });
    await rename(aside, folder);
    await expectBytes(`${service.url}/files/${md5(bytes)}`, bytes);
    expect(await check(service, `md5=${md5(bytes)}`)).toMatchObject({ status: 'exists' });
  });

  test('of an unfinished upload, in a folder that is not mounted', async () => {
    const service = await startService();
    onTestFinished(() => service.stop());
    const location = await createUpload(service.url, bytes.length);
    expect((await patch(location, 0, bytes.subarray(0, 60_000))).status).toBe(204);
    const folder = join(service.dataDir, 'files');
    const aside = join(service.dataDir, 'aside');
    await rename(folder, aside);
    await mkdir(folder);
    for (let attempt = 1; attempt <= 2; attempt++) {
      const refused = await patch(location, 60_000, bytes.subarray(60_000));
      expect(refused.status, `attempt ${attempt}`).toBe(503);
      expect(refused.headers['retry-after']).toBe('5');
      expect((await head(location)).headers['upload-offset']).toBe('60000');
    }
    await rm(folder, { recursive: true });
    await rename(aside, folder);
    expect((await patch(location, 60_000, bytes.subarray(60_000))).status).toBe(204);
    await expectBytes(`${service.url}/files/${md5(bytes)}`, bytes);
  });

  test('nothing is stored in a folder that is there instead of the disk', async () => {
    const service = await startService();
    onTestFinished(() => service.stop());
    const folder = join(service.dataDir, 'files');
    const aside = join(service.dataDir, 'aside');
    const ready = async (): Promise<number> => (await send('GET', `${service.url}/readyz`)).status;
    await rename(folder, aside);
    await mkdir(folder);
    const location = await createUpload(service.url, bytes.length);
    expect((await patch(location, 0, bytes)).status).toBe(503);
    const empty = await send('POST', `${service.url}/uploads`, {
      headers: { 'Tus-Resumable': '1.0.0', 'Upload-Length': '0' },
    });
    expect(empty.status).toBe(503);
    expect(await ready()).toBe(503);
    expect(await storedNames(service)).toEqual([]);
    await rm(folder, { recursive: true });
    await rename(aside, folder);
    expect(await ready()).toBe(200);
    expect((await patch(location, 0, bytes)).status).toBe(204);
    await expectBytes(`${service.url}/files/${md5(bytes)}`, bytes);
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
