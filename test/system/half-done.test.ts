/** What a death between two steps of a publication leaves, made by hand: the next start takes it up, once. */
import { randomUUID } from 'node:crypto';
import { appendFile, realpath, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UploadRecord } from '../../server/catalog/catalog.ts';
import { Database } from '../../server/catalog/sqlite/database.ts';
import { describe, expect, onTestFinished, test } from 'vitest';
import { UNKNOWN_MS } from '../../stores/store.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { COLLIDING } from '../harness/collision.ts';
import { PART } from '../harness/part.ts';
import { slowReads } from '../harness/slow-reads.ts';
import { describeOverStores, LOCAL, type StoredService } from '../harness/stores.ts';
import { head, patch, send } from '../harness/tus.ts';
import { type House, leaveAt, type Open, prepare, type Step } from './prepare.ts';
import { expectBytes, listFiles, storedNames, until } from './support.ts';
import { IS_LINUX } from '../harness/needs.ts';

interface Publication {
  id: string;
  name: string;
  bytes: Buffer;
}

/** All of these uploads are published, once, with their bytes, and nothing else is stored. */
async function expectPublished(
  service: StoredService,
  uploads: readonly Publication[],
  contents: number,
  lives = 1,
): Promise<void> {
  for (let life = 1; life <= lives; life++) {
    await expect
      .poll(async () => (await listFiles(service)).map(({ name }) => name).toSorted())
      .toEqual(uploads.map(({ name }) => name).toSorted());
    const files = await listFiles(service);
    for (const { id, name, bytes } of uploads) {
      const state = await head(`${service.url}/uploads/${id}`);
      expect(state.status).toBe(200);
      expect(state.headers['upload-offset']).toBe(String(bytes.length));
      await expectBytes(`${service.url}/uploads/${id}`, bytes);
      await expectBytes(files.find((file) => file.name === name)?.url ?? '', bytes);
    }
    await expect.poll(() => service.contents()).toHaveLength(contents);
    await expect.poll(() => service.unfinished()).toEqual([]);
    if (life < lives) await service.restart();
  }
}

/** Leaves a publication at a step. */
async function leave(house: Open, step: Step, name: string, content: Buffer): Promise<Publication> {
  return { id: await leaveAt(step, house, content, name), name, bytes: content };
}

/** The second is recovered after the first, as it was created later, and came further. */
async function leaveBoth(
  house: Open,
  [received, receivedBytes]: [name: string, bytes: Buffer],
  [final, finalBytes]: [name: string, bytes: Buffer],
): Promise<Publication[]> {
  const first = await leave(house, 'received', received, receivedBytes);
  await new Promise((resolve) => setTimeout(resolve, 2));
  return [first, await leave(house, 'final', final, finalBytes)];
}

/** Of two parts, where there are parts. */
const SIZE = PART + 100_000;
const bytes = makeBytes(SIZE, 77);

describeOverStores((store) => {
  async function start({ folder, env }: House, more: NodeJS.ProcessEnv = {}): Promise<StoredService> {
    const service = await store.startService({ ...env, ...more }, folder);
    onTestFinished(() => service.stop());
    return service;
  }

  test('publications that came as far as each step, alone and with others of the same bytes or the same MD5', async () => {
    const publications: Publication[] = [];
    const [first, second] = COLLIDING;
    const [ofReceived, ofFinal, ofPublished, ofOneName, ofTwo, removed] = Array.from({ length: 6 }, (_, index) =>
      makeBytes(SIZE, 780 + index),
    ) as [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer];
    const place = await prepare(store.newPlace(), async (house) => {
      publications.push(
        await leave(house, 'received', 'received.bin', ofReceived),
        await leave(house, 'final', 'final.bin', ofFinal),
        await leave(house, 'published', 'published.bin', ofPublished),
        ...(await leaveBoth(house, ['a2.bin', ofOneName], ['a.bin', ofOneName])),
        ...(await leaveBoth(house, ['b.txt', ofTwo], ['b.bin', ofTwo])),
        ...(await leaveBoth(house, ['second.bin', second], ['first.bin', first])),
      );
      // Under a key whose earlier bytes were to be removed.
      const earlier = await leaveAt('published', house, removed, 'earlier.bin');
      await house.store.discardUpload({ id: earlier, storeState: null }, 'keep');
      const listed = await house.catalog.listFiles({ owner: 'anyone', limit: 20, sort: 'name', descending: false });
      // The row is gone and the key noted, but its bytes are still there.
      await house.catalog.deleteFile(listed.files.find(({ name }) => name === 'earlier.bin')?.id ?? '', 'anyone');
      publications.push(await leave(house, 'final', 'later.bin', removed));
    });
    await expectPublished(await start(place), publications, 8, 2);
  });

  test('bytes of uploads that ended, and of none, are removed at start; those of others stay', async () => {
    let kept = '';
    const place = await prepare(store.newPlace(), async (house) => {
      const ended = await leaveAt('received', house, makeBytes(1000, 3), 'ended.bin');
      await house.catalog.endUpload(ended, 1, 'rejected', 'digest_mismatch');
      // A bucket tells the age of things by its own clock.
      if (store.name === 'local') {
        const stray = join(house.folder, 'files', `tmp_${randomUUID()}`);
        await writeFile(stray, 'of no upload');
        const longAgo = (Date.now() - UNKNOWN_MS) / 1000 - 60;
        await utimes(stray, longAgo, longAgo);
      }
      kept = await leaveAt('received', house, bytes, 'kept.bin');
    });
    await expectPublished(await start(place), [{ id: kept, name: 'kept.bin', bytes }], 1);
  });

  test('a publication whose bytes are gone is ended, not told complete; so is one whose content is there already', async () => {
    const gone: string[] = [];
    const place = await prepare(store.newPlace(), async (house) => {
      await leaveAt('published', house, bytes, 'there.bin');
      for (const content of [makeBytes(SIZE, 79), bytes]) {
        const id = await leaveAt('received', house, content, 'gone.bin');
        await house.store.discardUpload((await house.catalog.findUpload(id)) as UploadRecord, 'remove');
        gone.push(id);
      }
    });
    const service = await start(place);
    for (const id of gone) expect(await head(`${service.url}/uploads/${id}`)).toMatchObject({ status: 410 });
    expect(await listFiles(service)).toMatchObject([{ name: 'there.bin' }]);
  });

  test('an upload that has all its bytes and cannot be published is never told complete', async () => {
    let id = '';
    const place = await prepare(store.newPlace(), async (house) => {
      // Of a file the rest was written, and the process died before it was committed: a bucket has what is committed.
      const committed = store.name === 'local' ? bytes.subarray(0, 200_000) : bytes;
      id = await leaveAt('received', house, bytes, 'obstructed.bin', { committed });
      if (store.name === 'local')
        await appendFile(join(house.folder, 'files', `tmp_${id}`), bytes.subarray(committed.length));
    });
    const database = new Database(join(place.folder, 'catalog.db'));
    database.exec("CREATE TRIGGER obstacle BEFORE INSERT ON files BEGIN SELECT RAISE(ABORT, 'in the way'); END");
    database.close();
    const service = await start(place);
    for (let look = 0; look < 3; look++) {
      const state = await head(`${service.url}/uploads/${id}`);
      expect(state.status).toBeGreaterThanOrEqual(500);
      expect(state.headers['upload-offset']).toBeUndefined();
    }
    const answer = await patch(`${service.url}/uploads/${id}`, 5, bytes.subarray(5));
    expect(answer.status).toBeGreaterThanOrEqual(500);
    expect(answer.headers['upload-offset']).toBeUndefined();
    // Another program would bring the log of a service that was killed into the catalog, and remove it.
    await service.kill('SIGTERM');
    const again = new Database(join(place.folder, 'catalog.db'));
    again.exec('DROP TRIGGER obstacle');
    again.close();
    await service.restart();
    expect(await head(`${service.url}/uploads/${id}`)).toMatchObject({ status: 200 });
    await expectPublished(service, [{ id, name: 'obstructed.bin', bytes }], 1);
  });

  test('the same bytes again, after those of the content were lost by accident', async () => {
    let id = '';
    const place = await prepare(store.newPlace(), async (house) => {
      await leaveAt('published', house, bytes, 'lost.bin');
      const [content] = await house.catalog.findContents({ md5: md5(bytes) });
      await house.store.removeContent(content?.key ?? '');
      id = await leaveAt('received', house, bytes, 'again.bin');
    });
    const service = await start(place);
    await expectBytes(`${service.url}/uploads/${id}`, bytes);
  });
});

describe('in a folder', () => {
  async function start(dataDir: string, env: NodeJS.ProcessEnv = {}): Promise<StoredService> {
    const service = await LOCAL.startService(env, dataDir);
    onTestFinished(() => service.stop());
    return service;
  }

  // Which digests are computed has nothing to do with where the bytes are.
  test('two publications of different bytes with one MD5, with SHA-256', async () => {
    let uploads: Publication[] = [];
    const [first, second] = COLLIDING;
    const { folder } = await prepare({}, async (house) => {
      uploads = await leaveBoth(house, ['second.bin', second], ['first.bin', first]);
    });
    await expectPublished(await start(folder, { DIGESTS: 'md5,sha256' }), uploads, 2);
  });

  // The file is known by what Linux tells of a descriptor (proc(5)).
  test.skipIf(!IS_LINUX)('a comparison of bytes holds up neither the start nor the stop', async () => {
    const large = makeBytes(5_000_000, 78);
    const { folder } = await prepare({}, async (house) => {
      await leaveAt('published', house, large, 'there.bin');
      await leaveAt('received', house, large, 'again.bin');
    });
    const path = join(await realpath(folder), 'files', `${md5(large)}.bin`);
    // 20 reads: far longer than the test waits for the end.
    const service = await start(folder, {
      SHUTDOWN_TIMEOUT: '90s',
      NODE_OPTIONS: slowReads(path, 5_000),
    });
    await until('the comparison has begun', () => service.output().includes('the slow file is read'));
    expect((await listFiles(service)).map(({ name }) => name)).toEqual(['there.bin']);

    let exitCode: number | null = null;
    void service.kill('SIGTERM').then((code) => (exitCode = code));
    await until('the service has ended', () => exitCode !== null, 20_000);
    expect(exitCode).toBe(0);

    await service.restart({ NODE_OPTIONS: '' });
    await expect.poll(async () => (await listFiles(service)).length).toBe(2);
  });

  test('expired uploads that cannot be ended, however many, do not stop the service from working', async () => {
    const { folder } = await prepare({}, async ({ catalog }) => {
      const declared = {
        size: 10,
        md5: null,
        sha1: null,
        sha256: null,
        filename: null,
        filetype: null,
        metadata: '',
        holder: 'a node',
        phase: null,
      };
      for (let count = 0; count < 150; count++) {
        await catalog.createUpload({ ...declared, id: randomUUID(), owner: 'anyone', lifeMs: 0 });
      }
    });
    const database = new Database(join(folder, 'catalog.db'));
    database.exec("CREATE TRIGGER obstacle BEFORE UPDATE ON uploads BEGIN SELECT RAISE(ABORT, 'in the way'); END");
    database.close();
    const service = await start(folder);
    await until('the expiry job has tried', () => service.output().includes('job: expiry failed'));
    expect(await send('GET', `${service.url}/healthz`)).toMatchObject({ status: 200 });
  });

  test('files that the catalog does not know are reported and kept, as it may be an older copy', async () => {
    const name = `${md5(bytes)}.bin`;
    const { folder } = await prepare({}, async (house) => {
      await writeFile(join(house.folder, 'files', name), bytes);
      await leaveAt('published', house, makeBytes(1000, 4), 'known.bin');
    });
    const service = await start(folder);
    await until('the log tells', () => /"strays":1,.*does not know/.test(service.output()));
    expect(service.output()).toContain(name);
    expect(await storedNames(service)).toContain(name);
  });
});
