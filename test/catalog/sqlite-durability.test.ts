/** What a resolved write and a resolved `durable()` are worth when things break. */
import { spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { createGroupSync } from '../../server/catalog/sqlite/durable.ts';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { startCatalogProcess } from './catalog-process.ts';
import type { CatalogProcess } from './catalog-process.ts';
import { addUpload, commitTo, newContent, newFile, newUpload } from './fixtures.ts';
import { isHere } from '../harness/needs.ts';

/** A tracer sees the system calls, and can make them fail. */
const CAN_TRACE = isHere(
  spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0,
  'faults in system calls need strace and the right to trace (Debian: apt-get install strace)',
);

describe('durability of an SQLite catalog', () => {
  let folder: string;
  let file: string;
  let child: CatalogProcess | undefined;
  let catalog: Catalog | undefined;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemark-catalog-'));
    file = join(folder, 'catalog.sqlite');
  });

  afterEach(async () => {
    await child?.kill();
    await catalog?.close();
    child = catalog = undefined;
    await rm(folder, { recursive: true });
  });

  it('keeps every resolved write when its process is killed in the middle of others', async () => {
    // Some rounds: where in its work the process is hit is a matter of luck.
    const resolved: Array<() => Promise<void>> = [];
    for (let round = 0; round < 3; round++) {
      const writer = (child = startCatalogProcess(file));
      await writer.opened;
      let answers = 0;
      let killed: Promise<void> | undefined;

      const write = async (index: number) => {
        const [id, fileId] = [`${round}-${index}`, `file-${round}-${index}`];
        await writer.call('createUpload', newUpload({ id }));
        resolved.push(async () => expect(await catalog?.findUpload(id), id).toBeDefined());
        await writer.call('commitOffset', commitTo(id, 100));
        resolved.push(async () => expect(await catalog?.findUpload(id), id).toMatchObject({ offset: 100 }));
        await writer.call('publish', {
          uploadId: id,
          epoch: 1,
          content: newContent(id),
          file: newFile({ id: fileId }),
        });
        resolved.push(async () => expect(await catalog?.findFile(fileId, 'ann'), fileId).toBeDefined());
        if (++answers === 50) killed = writer.kill();
      };
      const outcomes = await Promise.allSettled(Array.from({ length: 300 }, (_, index) => write(index)));
      await killed;
      const refusals = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason as Error] : []));
      expect(refusals.length, 'the kill came in the middle').toBeGreaterThan(0);
      expect(new Set(refusals.map((error) => error.message))).toEqual(new Set(['the process ended']));
    }

    catalog = await openSqliteCatalog({ file });
    expect(resolved.length).toBeGreaterThan(500);
    for (const check of resolved) await check();
  });

  it('has its commits in the files once they are durable', async () => {
    catalog = await openSqliteCatalog({ file });
    const id = await addUpload(catalog);
    await catalog.durable();
    const copy = join(folder, 'copy.sqlite');
    await copyFile(file, copy);
    await copyFile(`${file}-wal`, `${copy}-wal`);
    const restored = await openSqliteCatalog({ file: copy });
    try {
      expect(await restored.findUpload(id)).toBeDefined();
    } finally {
      await restored.close();
    }
  });

  it.skipIf(!CAN_TRACE)('syncs the log after the last commit that it vouches for', async () => {
    const log = join(folder, 'trace');
    const writer = (child = startCatalogProcess(file, {
      execPath: 'strace',
      execArgv: ['-f', '-y', '-o', log, '-e', 'trace=pwrite64,fdatasync', process.execPath],
    }));
    await writer.opened;
    // More than SQLite keeps in the log, so that it is begun anew in between.
    for (let index = 0; index < 400; index++) await writer.call('createUpload', newUpload());
    await writer.call('durable');

    const lines = (await readFile(log, 'utf8')).split('\n');
    const lastWrite = lines.findLastIndex((line) => /pwrite64\(\d+<[^>]*-wal>/.test(line));
    const lastSync = lines.findLastIndex((line) => /fdatasync\(\d+<[^>]*-wal>/.test(line));
    expect(lastWrite).toBeGreaterThan(400);
    expect(lastSync).toBeGreaterThan(lastWrite);
  });

  it.skipIf(!CAN_TRACE)('is refused for good once a sync has failed', async () => {
    const writer = (child = startCatalogProcess(file, {
      execPath: 'strace',
      // The tracer counts by thread, so there is one to sync in. The second sync fails, the third would not.
      env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
      execArgv: [
        '-f',
        '-o',
        '/dev/null',
        '-e',
        'trace=fdatasync',
        '-e',
        'inject=fdatasync:error=EIO:when=2',
        process.execPath,
      ],
    }));
    await writer.opened;
    await writer.call('createUpload', newUpload({ id: 'kept' }));
    await writer.call('durable');
    await writer.call('ping');
    await writer.call('createUpload', newUpload());
    for (let attempt = 0; attempt < 3; attempt++) {
      const refusal = { code: 'unavailable', message: expect.stringMatching(/could not be synced.*EIO/) };
      await expect(writer.call('durable')).rejects.toMatchObject(refusal);
      await expect(writer.call('ping')).rejects.toMatchObject(refusal);
    }
    await writer.kill();
    catalog = await openSqliteCatalog({ file });
    await catalog.durable();
    expect(await catalog.findUpload('kept')).toBeDefined();
  });
});

describe('group sync', () => {
  /** A disk whose syncs end when the test says so. */
  function slowDisk() {
    const under: Array<{ resolve: () => void; reject: (error: Error) => void }> = [];
    const group = createGroupSync(() => new Promise<void>((resolve, reject) => under.push({ resolve, reject })));
    return { group, under };
  }

  const settled = async (promise: Promise<void>) => {
    const pending = Symbol('pending');
    // Everything that can be settled without the disk is, by the time a timer fires.
    const turn = new Promise((resolve) => setImmediate(resolve, pending));
    return (await Promise.race([promise.catch(() => {}), turn])) !== pending;
  };

  it('lets all calls that come during a sync share the next one', async () => {
    const { group, under } = slowDisk();
    const first = group.sync();
    const others = [group.sync(), group.sync(), group.sync()];
    expect(under).toHaveLength(1);
    under[0]?.resolve();
    await first;
    expect(await Promise.all(others.map(settled))).toEqual([false, false, false]);
    expect(under).toHaveLength(2);

    const late = group.sync();
    under[1]?.resolve();
    await Promise.all(others);
    expect(await settled(late)).toBe(false);
    expect(under).toHaveLength(3);
    under[2]?.resolve();
    await late;
    const afterAll = group.sync();
    expect(under).toHaveLength(4);
    under[3]?.resolve();
    await afterAll;
  });

  it('fails for every call that waits, and for good', async () => {
    const { group, under } = slowDisk();
    const waiting = [group.sync(), group.sync(), group.sync()];
    under[0]?.reject(new Error('EIO'));
    for (const each of [...waiting, group.sync()]) {
      await expect(each).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('EIO'),
      });
    }
    // It never asks the disk again.
    await expect(group.sync()).rejects.toBe(group.failure());
    expect(under).toHaveLength(1);
    expect(group.failure()).toMatchObject({ code: 'unavailable' });
  });

  it('reports what the system says', async () => {
    const handle = await open(tmpdir());
    await handle.close();
    await expect(createGroupSync(() => handle.datasync()).sync()).rejects.toMatchObject({
      code: 'unavailable',
      cause: { code: 'EBADF' },
    });
  });
});
