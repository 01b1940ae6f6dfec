/** The reserve for a full disk: which calls it lets succeed, and which process may touch it. */
import { mkdir, mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Catalog, CatalogError } from '../../server/catalog/catalog.ts';
import { SqliteError } from '../../server/catalog/sqlite/database.ts';
import { toCatalogError } from '../../server/catalog/sqlite/errors.ts';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { createReserve } from '../../server/catalog/sqlite/reserve.ts';
import { withReserve } from '../../server/catalog/sqlite/with-reserve.ts';
import { CAN_MOUNT, mountSmallDisk } from '../system/mounts.ts';
import { startCatalogProcess } from './catalog-process.ts';
import { addPublished, addUpload, commitTo, newContent, newFile, newUpload, nextLease } from './fixtures.ts';

const MIB = 1024 * 1024;

let opened: Catalog[];
beforeEach(() => {
  opened = [];
});
afterEach(() => Promise.all(opened.map((each) => each.close())));

async function open(file: string): Promise<Catalog> {
  const catalog = await openSqliteCatalog({ file });
  opened.push(catalog);
  return catalog;
}

/** Size of a file, undefined where there is none. */
function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}

describe('the reserve of an SQLite catalog', () => {
  let folder: string;
  let file: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemark-reserve-'));
    file = join(folder, 'catalog.sqlite');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is made when the catalog is opened, for its owner only, and stays when that is closed', async () => {
    const catalog = await open(file);
    const { size, mode } = await stat(`${file}-reserve`);
    expect(size).toBe(8 * MIB);
    expect(mode & 0o777).toBe(0o600);
    await catalog.close();
    expect(await sizeOf(`${file}-reserve`)).toBe(8 * MIB);
  });

  it('serves a log whose index cannot grow, too', () => {
    const error = new SqliteError('disk I/O error', 'SQLITE_IOERR_SHMSIZE');
    expect(toCatalogError(error, file)).toMatchObject({ code: 'full' });
  });

  it('is beside the database, not beside a link to it', async () => {
    await mkdir(join(folder, 'elsewhere'));
    const real = join(folder, 'elsewhere', 'real.sqlite');
    await symlink(real, file);
    await open(file);
    expect(await sizeOf(`${real}-reserve`)).toBe(8 * MIB);
    expect(await sizeOf(`${file}-reserve`)).toBeUndefined();
  });

  it('is left alone by a second service', async () => {
    await open(file);
    await rm(`${file}-reserve`);
    await expect(openSqliteCatalog({ file })).rejects.toMatchObject({ code: 'unavailable' });
    expect(await sizeOf(`${file}-reserve`)).toBeUndefined();
  });

  it('serves every deletion, of files and in the trash, and nothing that can wait', async () => {
    const real = await open(file);
    let isFull = true;
    const refuse = async (): Promise<never> => {
      throw new CatalogError('full', 'the disk is full');
    };
    const full = new Proxy(real, {
      get: (target, name: keyof Catalog) => (isFull && typeof target[name] === 'function' ? refuse : target[name]),
    });
    const every = Object.keys(real).map((name) => [
      name,
      (...args: unknown[]) => Reflect.apply(full[name as 'ping'], full, args),
    ]);
    const reserve = {
      giveBack: async () => !(isFull = false),
      restore: async () => undefined,
      close: async () => undefined,
    };
    const catalog = withReserve(Object.fromEntries(every) as Catalog, reserve, refuse);
    const trash = async (name: string): Promise<string> => {
      const { id } = await addPublished(real, newContent(name), { name });
      await real.deleteFile(id, 'ann', 'trash');
      return id;
    };
    const { id } = await addPublished(real, newContent('a'), { name: 'a' });
    await addPublished(real, newContent('b'), { name: 'f/b' });
    const trashed = await trash('c');
    for (const free of [
      () => catalog.deleteFile(id, 'ann', 'trash'),
      () => catalog.deleteBelow('ann', 'f', undefined, 'trash'),
      () => catalog.deleteTrashed('ann', { ids: [trashed] }),
      () => catalog.purgeTrash(-1),
    ]) {
      isFull = true;
      await expect(catalog.restoreTrashed('ann', { ids: [trashed] })).rejects.toMatchObject({ code: 'full' });
      expect(await free()).toBeDefined();
      expect(isFull).toBe(false);
    }
    expect(await real.trashTotalOf('ann')).toEqual({ files: 0, bytes: 0 });
  });

  it('need not be there', async () => {
    await mkdir(`${file}-reserve`);
    const catalog = await open(file);
    const id = await addUpload(catalog);
    expect(await nextLease(catalog, id)).toBe(2);
  });
});

// Skipped without the right to mount: run the tests as root on Linux.
describe.skipIf(!CAN_MOUNT)('on a full disk', () => {
  it('a reopened catalog frees and keeps, takes nothing new, and is not used up by trying', async () => {
    const disk = mountSmallDisk('64M');
    const file = join(disk.folder, 'catalog.sqlite');
    const before = await open(file);
    const [ended, kept, published] = [newUpload(), newUpload(), newUpload({ size: null })];
    for (const upload of [ended, kept, published]) await before.createUpload(upload);
    const old = await addPublished(before, newContent('old'));
    await before.close();
    await disk.fill();

    const catalog = await open(file);
    // One part of it is for the index of the log, which further connections need. Others may take what is left of it.
    await disk.fill();
    const whole = await sizeOf(`${file}-reserve`);
    expect(whole).toBe(Math.floor(0.05 * 64 * MIB) - 256 * 1024);
    expect(await sizeOf(`${file}-shm`)).toBe(32 * 1024);
    const renaming = () => catalog.renameFile(old.id, 'ann', 'new', null);
    await expect(catalog.createUpload(newUpload())).rejects.toMatchObject({ code: 'full' });
    await expect(renaming()).rejects.toMatchObject({ code: 'full' });
    expect(await sizeOf(`${file}-reserve`)).toBe(whole);

    expect(await nextLease(catalog, ended.id)).toBe(2);
    await disk.fill();
    // Clients that are refused by the store come again and again.
    for (let epoch = 2; epoch < 500; epoch++) {
      expect(await nextLease(catalog, kept.id)).toBe(epoch);
      expect(await catalog.commitOffset(commitTo(kept.id, Math.floor(epoch / 10), { epoch }))).toBeDefined();
      if (epoch % 10 === 0) await disk.fill();
    }
    expect(await catalog.endUpload(ended.id, 2, 'terminated', null)).toBe(true);
    expect(await catalog.declareLength(published.id, 1, 100)).toBe(true);
    const publication = {
      uploadId: published.id,
      epoch: 1,
      content: newContent('new'),
      file: newFile(),
    };
    const outcome = await catalog.publish(publication);
    if (outcome.kind !== 'published') throw new Error(outcome.kind);
    await catalog.addDigests(outcome.file.content.id, { sha1: 'a'.repeat(40) });
    const removed = await catalog.deleteFile(old.id, 'ann');
    expect(removed?.removedKey).toBe(old.content.key);
    await catalog.removalDone(old.content.key);
    await catalog.forgetStoreState(ended.id);
    expect(await catalog.forgetEnded(-1, 10)).toBe(1);
    await catalog.durable();
    expect(await sizeOf(`${file}-reserve`)).toBeGreaterThan(0);
  });

  it('a catalog without a reserve is opened without further connections, and says so', async () => {
    const disk = mountSmallDisk('8M');
    const file = join(disk.folder, 'catalog.sqlite');
    const before = await open(file);
    const old = await addPublished(before, newContent('old'));
    await before.close();
    await rm(`${file}-reserve`);
    await disk.fill();

    const told: string[] = [];
    const catalog = await openSqliteCatalog({ file, tell: (found) => void told.push(found) });
    opened.push(catalog);
    expect(told).toEqual([expect.stringContaining('has no room for the index of its log')]);
    expect(await sizeOf(`${file}-shm`)).toBeUndefined();
    const { files } = await catalog.listFiles({
      owner: 'ann',
      sort: 'name',
      descending: false,
      limit: 9,
      search: 'a.t',
    });
    expect(files.map(({ id }) => id)).toEqual([old.id]);
  });

  it('a catalog with a log is opened, and has what was in it', async () => {
    const disk = mountSmallDisk('8M');
    const file = join(disk.folder, 'catalog.sqlite');
    const killed = startCatalogProcess(file);
    await killed.opened;
    const ids = Array.from({ length: 300 }, (_, index) => `upload-${index}`);
    for (const id of ids) await killed.call('createUpload', newUpload({ id }));
    await killed.kill();
    await disk.fill();

    const catalog = await open(file);
    for (const id of ids) expect(await catalog.findUpload(id), id).toBeDefined();
    // As many as the small reserve of this disk has room for.
    for (const id of ids.slice(0, 200)) await catalog.endUpload(id, null, 'terminated', null);
    await disk.makeRoom();
    await catalog.close();
    await open(file);
    expect(await sizeOf(`${file}-reserve`)).toBe(Math.floor(0.05 * 8 * MIB));
  });

  it('the reserve is given back in parts, and made anew once there is clearly room', async () => {
    const disk = mountSmallDisk('16M');
    const path = join(disk.folder, 'reserve');
    const whole = Math.floor(0.05 * 16 * MIB);
    const reserve = createReserve(path, 0);
    await reserve.restore();
    expect(await sizeOf(path)).toBe(whole);
    await disk.fill();

    // Those who ask at once share a part.
    expect(await Promise.all([reserve.giveBack(), reserve.giveBack()])).toEqual([true, true]);
    expect(await sizeOf(path)).toBe(whole - 256 * 1024);
    while (await reserve.giveBack());
    expect(await sizeOf(path)).toBe(0);
    await reserve.restore();
    expect(await sizeOf(path)).toBe(0);

    await disk.makeRoom();
    await reserve.restore();
    expect(await sizeOf(path)).toBe(whole);
    await reserve.close();
    expect(await reserve.giveBack()).toBe(false);
    expect(await sizeOf(path)).toBe(whole);
  });
});
