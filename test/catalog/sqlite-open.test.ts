/** Opening a catalog: one service at a time, and a sentence for each reason to refuse. */
import { chmod, mkdir, mkdtemp, readFile, readdir, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Database } from '../../server/catalog/sqlite/database.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { openBeside, openDatabase } from '../../server/catalog/sqlite/connection.ts';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { startCatalogProcess } from './catalog-process.ts';
import type { CatalogProcess } from './catalog-process.ts';
import { addPublished, addUpload, commitTo, newContent, newUpload } from './fixtures.ts';
import { IS_LINUX } from '../harness/needs.ts';
import { undoFolders, undoLinkFolders, undoLinks, undoTrash, undoUploadLinks } from '../harness/undo-migrations.ts';

/** The user that has no rights: root would be let in everywhere. */
const NOBODY = 65534;
const AS_NOBODY = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};

describe('opening an SQLite catalog', () => {
  let folder: string;
  let file: string;
  let opened: Catalog[];
  let started: CatalogProcess[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemark-catalog-'));
    file = join(folder, 'catalog.sqlite');
    opened = [];
    started = [];
  });

  afterEach(async () => {
    await Promise.all(started.map((each) => each.kill()));
    await Promise.all(opened.map((each) => each.close()));
    await rm(folder, { recursive: true });
  });

  async function open(): Promise<Catalog> {
    const catalog = await openSqliteCatalog({ file });
    opened.push(catalog);
    return catalog;
  }

  function start(options = {}): CatalogProcess {
    const child = startCatalogProcess(file, options);
    started.push(child);
    return child;
  }

  async function expectRefusal(attempt: Promise<unknown>, sentence: RegExp): Promise<void> {
    await expect(attempt).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(sentence),
    });
    await expect(attempt).rejects.toThrow(file);
  }

  /** Whether a process has the catalog open. */
  async function hasOpen(pid: number | undefined): Promise<boolean> {
    const descriptors = `/proc/${pid}/fd`;
    const links = await readdir(descriptors);
    const files = await Promise.all(links.map((link) => readlink(join(descriptors, link)).catch(() => '')));
    return files.includes(file);
  }

  it('is for one process, until that is killed', async () => {
    const first = start();
    await first.opened;
    await first.call('createUpload', newUpload({ id: 'first' }));
    await first.call('durable');
    await expectRefusal(open(), /is in use by another service/);
    await expectRefusal(start().opened, /is in use by another service/);
    await first.kill();
    expect(await (await open()).findUpload('first')).toBeDefined();
  });

  // Looks at the descriptors of another process, which Linux shows as a folder.
  it.skipIf(!IS_LINUX)('waits for a process that only looks', async () => {
    await (await open()).close();
    const looking = openDatabase(file);
    looking.exec('BEGIN IMMEDIATE');
    const child = start();
    await expect.poll(() => hasOpen(child.pid), { interval: 1, timeout: 30_000 }).toBe(true);
    looking.close();
    await child.opened;
  });

  it.skipIf(!IS_LINUX)('is for one of two processes that ask for it at the same instant', async () => {
    await (await open()).close();
    const reading = openBeside(file);
    reading.prepare('SELECT 1 FROM sqlite_schema').get();
    // Both wait for it.
    const children = [start(), start()];
    const settled = Promise.allSettled(children.map((child) => child.opened));
    for (const { pid } of children) await expect.poll(() => hasOpen(pid), { interval: 1, timeout: 30_000 }).toBe(true);
    reading.close();
    const refused = (await settled).flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
    expect(refused).toMatchObject([
      { code: 'unavailable', message: expect.stringContaining('in use by another service') },
    ]);
  });

  it('is refused twice within a process, and the refusal leaves the lock where it is', async () => {
    const catalog = await open();
    await addUpload(catalog);
    await catalog.durable();
    await expectRefusal(open(), /is in use by another service/);
    await expectRefusal(start().opened, /is in use by another service/);
    await catalog.close();
    await start().opened;
  });

  it('leaves no lock and no log behind when closed', async () => {
    const catalog = await open();
    const id = await addUpload(catalog);
    await catalog.close();
    await catalog.close();
    await expect(readFile(`${file}-wal`)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(catalog.findUpload(id)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(catalog.ping()).rejects.toMatchObject({ code: 'unavailable' });
    await expect(catalog.durable()).rejects.toMatchObject({ code: 'unavailable' });
    expect(await (await open()).findUpload(id)).toBeDefined();
  });

  it('follows a link to where the file is', async () => {
    const elsewhere = join(folder, 'elsewhere');
    await mkdir(elsewhere);
    await symlink(join(elsewhere, 'real.sqlite'), file);
    const catalog = await open();
    await addUpload(catalog);
    await catalog.durable();
    await catalog.ping();
  });

  it('follows a link out of a folder that is not writable', async () => {
    const elsewhere = join(folder, 'elsewhere');
    await mkdir(elsewhere);
    await chmod(elsewhere, 0o777);
    await writeFile(join(elsewhere, 'real.sqlite'), '');
    await chmod(join(elsewhere, 'real.sqlite'), 0o666);
    await symlink(join(elsewhere, 'real.sqlite'), file);
    await chmod(folder, 0o555);
    try {
      await start(AS_NOBODY).opened;
    } finally {
      await chmod(folder, 0o755);
    }
  });

  it('is refused when a folder is in its place, or its folder is missing', async () => {
    await mkdir(file);
    await expectRefusal(open(), /is a folder/);
    file = join(folder, 'missing', 'catalog.sqlite');
    await expectRefusal(open(), /its folder does not exist/);
  });

  it('is refused when the file is something else, or damaged', async () => {
    await writeFile(file, 'This is no database at all. '.repeat(100));
    await expectRefusal(open(), /is not an SQLite database/);

    await rm(file);
    await (await open()).close();
    const bytes = await readFile(file);
    await writeFile(file, bytes.fill(0xff, 100, 4096));
    await expectRefusal(open(), /is damaged/);
  });

  it('is refused when another program has its data there', async () => {
    const other = new Database(file);
    other.exec('CREATE TABLE songs (title TEXT)');
    other.close();
    await expectRefusal(open(), /is a database of another program/);
  });

  it('is refused when a newer version wrote it, and left as it was', async () => {
    await (await open()).close();
    const newer = new Database(file);
    newer.pragma('user_version = 99');
    newer.close();
    await expectRefusal(open(), /has schema 99, and this version of the service knows/);
    const unchanged = new Database(file);
    expect(unchanged.pragma('user_version', { simple: true })).toBe(99);
    unchanged.close();
  });

  it('takes the boot of an upload of schema 8 for what its store keeps, while it is receiving', async () => {
    const catalog = await open();
    const [receiving, unwritten, noted, ended] = await Promise.all(Array.from({ length: 4 }, () => addUpload(catalog)));
    await catalog.commitOffset(commitTo(noted ?? '', 10, { storeState: 'a note' }));
    await catalog.endUpload(ended ?? '', null, 'expired', null);
    await catalog.forgetStoreState(ended ?? '');
    await catalog.close();
    const before = new Database(file);
    before.prepare("UPDATE uploads SET boot_id = 'a boot' WHERE id IN (?, ?)").run(receiving, ended);
    undoUploadLinks(before);
    before.exec('ALTER TABLE removals DROP COLUMN node; ALTER TABLE removals DROP COLUMN until');
    before.exec('DROP TABLE final_partials; DROP INDEX uploads_finals; ALTER TABLE uploads DROP COLUMN kind');
    before.exec('ALTER TABLE uploads DROP COLUMN expected_size');
    before.exec('ALTER TABLE contents DROP COLUMN proof; ALTER TABLE contents DROP COLUMN seal');
    undoLinkFolders(before);
    undoTrash(before);
    undoFolders(before);
    undoLinks(before);
    before.pragma('user_version = 8');
    before.close();
    const after = await open();
    const states = await Promise.all([receiving, unwritten, noted, ended].map((id) => after.findUpload(id ?? '')));
    expect(states.map((row) => row?.storeState)).toEqual(['a boot', null, 'a note', null]);
    await after.close();
  });

  it('keeps the files of before at the top, also those of one name, and numbers its events on', async () => {
    const catalog = await open();
    const files = [];
    for (const text of ['one', 'two'])
      files.push(await addPublished(catalog, newContent(text), { name: `${text}.txt` }));
    await catalog.forgetEvents(-1, 1);
    await catalog.close();
    const before = new Database(file);
    before.exec("UPDATE files SET name = 'same.txt', folded_name = 'same.txt'");
    undoUploadLinks(before);
    undoLinkFolders(before);
    undoTrash(before);
    undoFolders(before);
    before.pragma('user_version = 15');
    before.close();
    const after = await open();
    const query = { owner: 'ann', folder: '', limit: 10, sort: 'name', descending: false } as const;
    const listed = await after.listFolder(query);
    expect(listed?.folders).toEqual([]);
    expect(listed?.files.map(({ name }) => name)).toEqual(['same.txt', 'same.txt']);
    expect(new Set(listed?.files.map(({ id }) => id))).toEqual(new Set(files.map(({ id }) => id)));
    expect((await addPublished(after, newContent('three'), { name: 'same.txt' })).name).toBe('same (2).txt');
    expect((await addPublished(after, newContent('four'), { name: 'a/b' })).name).toBe('a/b');
    expect((await after.listEvents({ owner: 'ann', after: 1, limit: 10 }))?.map(({ number }) => number)).toEqual([
      2, 3, 4,
    ]);
    await after.close();
  });

  it('is refused when the folder or the file is not writable', async () => {
    await chmod(folder, 0o555);
    try {
      await expectRefusal(start(AS_NOBODY).opened, /its folder is not writable/);
      await chmod(folder, 0o755);
      await (await open()).close();
      await chmod(file, 0o444);
      await chmod(folder, 0o777);
      await expectRefusal(start(AS_NOBODY).opened, /it is not writable/);
    } finally {
      await chmod(folder, 0o755);
    }
  });
});
