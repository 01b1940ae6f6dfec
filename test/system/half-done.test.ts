/** What a death between two steps of a publication leaves, made by hand: the next start takes it up, once. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFile, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Readable } from 'node:stream';
import { Database } from '../../server/catalog/sqlite/database.ts';
import { expect, onTestFinished, test } from 'vitest';
import { type Catalog, type UploadRecord } from '../../server/catalog/catalog.ts';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import type { DigestPool } from '../../stores/digests/digests.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { openLocalStore } from '../../stores/local/store.ts';
import type { Store } from '../../stores/store.ts';
import { makeBytes, md5 } from '../support/bytes.ts';
import { COLLIDING } from '../support/collision.ts';
import { type RunningService, startService } from '../support/service.ts';
import { makeTempFolder } from '../support/temp-folder.ts';
import { head, patch, send } from '../support/tus.ts';
import { expectBytes, listFiles, storedNames, until } from './support.ts';

interface Disk {
  folder: string;
  catalog: Catalog;
  store: Store;
  digests: DigestPool;
}

/** How far a publication came: all bytes committed, made final, or recorded. */
type Step = 'received' | 'final' | 'published';

/** Works on a data folder as the service does, while no service runs on it. */
async function onDisk(work: (disk: Disk) => Promise<void>): Promise<string> {
  const folder = await makeTempFolder();
  const catalog = await openSqliteCatalog({ file: join(folder, 'catalog.db') });
  const digests = createDigestPool(['md5']);
  try {
    await work({ folder, catalog, store: await openLocalStore({ folder: join(folder, 'files') }), digests });
  } finally {
    await digests.close();
    await catalog.close();
  }
  return folder;
}

/** Takes an upload as far as `step`, with what of its bytes was committed; its id. */
async function leaveAt(
  step: Step,
  { catalog, store, digests }: Disk,
  bytes: Buffer,
  filename: string,
  committed = bytes,
): Promise<string> {
  const id = randomUUID();
  const now = Date.now();
  const declared = {
    size: bytes.length,
    md5: md5(bytes),
    sha1: null,
    sha256: null,
    filename,
    filetype: null,
    metadata: '',
  };
  await catalog.createUpload({ ...declared, id, owner: 'anyone', createdAt: now, expiresAt: now + 60_000 });
  const upload = (await catalog.findUpload(id)) as UploadRecord;
  await store.createUpload(upload);
  await store.writeUpload(Readable.from([committed]), upload, {
    digests,
    signal: new AbortController().signal,
    maxBytes: bytes.length,
    commit: async (commit) => {
      await catalog.commitOffset({ id, epoch: 1, ...commit, lastByteAt: now, expiresAt: now + 60_000 });
    },
  });
  if (step === 'received') return id;
  const key = store.keyFor(upload, { md5: md5(bytes), variant: 0 });
  await store.finalize({ ...upload, offset: bytes.length }, key);
  if (step === 'final') return id;
  const file = { id: randomUUID(), owner: 'anyone', name: filename, type: null, uploadedAt: now };
  const content = { md5: md5(bytes), sha1: null, sha256: null, size: bytes.length, variant: 0, key };
  await catalog.publish({ uploadId: id, epoch: 1, content, file });
  return id;
}

async function start(dataDir: string, env: NodeJS.ProcessEnv = {}): Promise<RunningService> {
  const service = await startService({ dataDir, env });
  onTestFinished(() => service.stop());
  return service;
}

/** All of these uploads are published, once, with their bytes, and nothing else is stored. */
async function expectPublished(
  service: RunningService,
  uploads: { id: string; name: string; bytes: Buffer }[],
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
    await expect.poll(() => storedNames(service)).toHaveLength(contents);
    if (life < lives) await service.restart();
  }
}

const bytes = makeBytes(500_000, 77);

test.each<Step>(['received', 'final', 'published'])('a publication that came as far as: %s', async (step) => {
  let id = '';
  const folder = await onDisk(async (disk) => {
    id = await leaveAt(step, disk, bytes, 'half-done.bin');
  });
  await expectPublished(await start(folder), [{ id, name: 'half-done.bin', bytes }], 1, 2);
});

test.each([
  ['the same name', 'a.bin', 'a2.bin'],
  ['another extension', 'a.bin', 'a.txt'],
])('two publications of the same bytes under %s, the later upload further', async (_, finalName, receivedName) => {
  let uploads: { id: string; name: string; bytes: Buffer }[] = [];
  const folder = await onDisk(async (disk) => {
    // Taken up in the order they were created: the one that is final already comes second.
    const received = await leaveAt('received', disk, bytes, receivedName);
    await new Promise((resolve) => setTimeout(resolve, 2));
    const final = await leaveAt('final', disk, bytes, finalName);
    uploads = [
      { id: received, name: receivedName, bytes },
      { id: final, name: finalName, bytes },
    ];
  });
  await expectPublished(await start(folder), uploads, 1);
});

test.each([{}, { DIGESTS: 'md5,sha256' }])('two publications of different bytes with one MD5, with %j', async (env) => {
  const [first, second] = COLLIDING;
  let uploads: { id: string; name: string; bytes: Buffer }[] = [];
  const folder = await onDisk(async (disk) => {
    const received = await leaveAt('received', disk, second, 'second.bin');
    await new Promise((resolve) => setTimeout(resolve, 2));
    const final = await leaveAt('final', disk, first, 'first.bin');
    uploads = [
      { id: received, name: 'second.bin', bytes: second },
      { id: final, name: 'first.bin', bytes: first },
    ];
  });
  await expectPublished(await start(folder, env), uploads, 2);
});

test('a publication under a key whose earlier bytes were to be removed', async () => {
  let id = '';
  const folder = await onDisk(async (disk) => {
    await leaveAt('published', disk, bytes, 'earlier.bin');
    const [file] = (await disk.catalog.listFiles({ owner: 'anyone', limit: 1, sort: 'name', descending: false })).files;
    // The row is gone and the key noted, but its bytes are still there.
    await disk.catalog.deleteFile(file?.id ?? '', 'anyone');
    id = await leaveAt('final', disk, bytes, 'later.bin');
  });
  await expectPublished(await start(folder), [{ id, name: 'later.bin', bytes }], 1);
});

test('bytes of uploads that ended, and of none, are removed at start; those of others stay', async () => {
  let kept = '';
  const folder = await onDisk(async (disk) => {
    const ended = await leaveAt('received', disk, makeBytes(1000, 3), 'ended.bin');
    await disk.catalog.endUpload(ended, 1, 'rejected', 'digest_mismatch', Date.now());
    await writeFile(join(disk.folder, 'files', `tmp_${randomUUID()}`), 'of no upload');
    kept = await leaveAt('received', disk, bytes, 'kept.bin');
  });
  await expectPublished(await start(folder), [{ id: kept, name: 'kept.bin', bytes }], 1);
});

// Skipped on Windows, which has no named pipes of this kind (mkfifo(1)).
test.skipIf(process.platform === 'win32')('a comparison of bytes holds up neither the start nor the stop', async () => {
  const large = makeBytes(5_000_000, 78);
  const folder = await onDisk(async (disk) => {
    await leaveAt('published', disk, large, 'there.bin');
    await leaveAt('received', disk, large, 'again.bin');
  });
  // Instead of a file so large that reading it takes hours: a pipe that gives what it is given.
  const path = join(folder, 'files', `${md5(large)}.bin`);
  await rm(path);
  await promisify(execFile)('mkfifo', [path]);
  const pipe = await open(path, 'r+');
  onTestFinished(() => pipe.close());
  const service = await start(folder);
  await pipe.write(large.subarray(0, 60_000));
  expect((await listFiles(service)).map(({ name }) => name)).toEqual(['there.bin']);

  const begun = Date.now();
  const ended = service.kill('SIGTERM');
  await until('the service stops', () => service.output().includes('"msg":"stopping"'));
  await pipe.write(large.subarray(60_000, 100_000));
  expect(await ended).toBe(0);
  expect(Date.now() - begun).toBeLessThan(5000);

  await rm(path);
  await writeFile(path, large);
  await service.restart();
  await expect.poll(async () => (await listFiles(service)).length).toBe(2);
});

test('a publication whose bytes are gone is ended, not told complete', async () => {
  let id = '';
  const folder = await onDisk(async (disk) => {
    id = await leaveAt('received', disk, bytes, 'gone.bin');
    await disk.store.discardUpload({ id, storeState: null }, 'remove');
  });
  const service = await start(folder);
  expect(await head(`${service.url}/uploads/${id}`)).toMatchObject({ status: 410 });
  expect((await send('GET', `${service.url}/api/files`)).body).toContain('"files":[]');
});

test('an upload that has all its bytes and cannot be published is never told complete', async () => {
  let id = '';
  const folder = await onDisk(async (disk) => {
    const half = bytes.subarray(0, 200_000);
    id = await leaveAt('received', disk, bytes, 'obstructed.bin', half);
    // The rest was written, and the process died before it was committed.
    await appendFile(join(disk.folder, 'files', `tmp_${id}`), bytes.subarray(half.length));
  });
  const database = new Database(join(folder, 'catalog.db'));
  database.exec("CREATE TRIGGER obstacle BEFORE INSERT ON files BEGIN SELECT RAISE(ABORT, 'in the way'); END");
  database.close();
  const service = await start(folder);
  for (let look = 0; look < 3; look++) {
    const state = await head(`${service.url}/uploads/${id}`);
    expect(state.status).toBeGreaterThanOrEqual(500);
    expect(state.headers['upload-offset']).toBeUndefined();
  }
  const answer = await patch(`${service.url}/uploads/${id}`, 5, bytes.subarray(5));
  expect(answer.status).toBeGreaterThanOrEqual(500);
  expect(answer.headers['upload-offset']).toBeUndefined();
  await service.kill('SIGKILL');
  const again = new Database(join(folder, 'catalog.db'));
  again.exec('DROP TRIGGER obstacle');
  again.close();
  await service.restart();
  expect(await head(`${service.url}/uploads/${id}`)).toMatchObject({ status: 200 });
  await expectPublished(service, [{ id, name: 'obstructed.bin', bytes }], 1);
});

test('the same bytes again, after those of the content were lost by accident', async () => {
  let id = '';
  const folder = await onDisk(async (disk) => {
    await leaveAt('published', disk, bytes, 'lost.bin');
    await rm(join(disk.folder, 'files', `${md5(bytes)}.bin`));
    id = await leaveAt('received', disk, bytes, 'again.bin');
  });
  const service = await start(folder);
  await expectBytes(`${service.url}/uploads/${id}`, bytes);
});

test('expired uploads that cannot be ended, however many, do not keep the service from its work', async () => {
  const folder = await onDisk(async ({ catalog }) => {
    const declared = { size: 10, md5: null, sha1: null, sha256: null, filename: null, filetype: null, metadata: '' };
    for (let count = 0; count < 150; count++) {
      await catalog.createUpload({ ...declared, id: randomUUID(), owner: 'anyone', createdAt: 1, expiresAt: 2 });
    }
  });
  const database = new Database(join(folder, 'catalog.db'));
  database.exec("CREATE TRIGGER obstacle BEFORE UPDATE ON uploads BEGIN SELECT RAISE(ABORT, 'in the way'); END");
  database.close();
  const service = await start(folder);
  await until('the sweep has tried', () => service.output().includes('sweep: expiry failed'));
  expect(await send('GET', `${service.url}/healthz`)).toMatchObject({ status: 200 });
});

test('files that the catalog does not know, as it may be an older copy, are told of and stay', async () => {
  const name = `${md5(bytes)}.bin`;
  const folder = await onDisk(async (disk) => {
    await writeFile(join(disk.folder, 'files', name), bytes);
    await leaveAt('published', disk, makeBytes(1000, 4), 'known.bin');
  });
  const service = await start(folder);
  await until('the log tells', () => /"strays":1,.*does not know/.test(service.output()));
  expect(service.output()).toContain(name);
  expect(await storedNames(service)).toContain(name);
});
