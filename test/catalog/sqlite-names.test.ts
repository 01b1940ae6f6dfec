/** Searches by the index of names that SQLite's catalog keeps beside itself, and what becomes of it. */
import { copyFileSync, mkdirSync, renameSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { openBeside, openDatabase } from '../../server/catalog/sqlite/connection.ts';
import { Database, SqliteError } from '../../server/catalog/sqlite/database.ts';
import { type NameIndex, openNameIndex } from '../../server/catalog/sqlite/name-index.ts';
import { bringUpToDate, openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { createReader } from '../../server/catalog/sqlite/reader.ts';
import { foldName } from '../../server/wire/fold-name.ts';
import { makeReserve } from '../harness/reserve.ts';
import { until } from '../system/support.ts';
import { addPublished, addUpload, commitTo, newContent } from './fixtures.ts';
import { expectAllFound, FILES, nameOf } from './search-parts.ts';

let folder: string;
let file: string;
let catalog: Catalog | undefined;
/** What the service's log would say. */
let told: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-names-'));
  file = join(folder, 'catalog.db');
  await makeReserve(file);
  told = [];
});

afterEach(async () => {
  await catalog?.close();
  await rm(folder, { recursive: true });
});

async function open(): Promise<Catalog> {
  await catalog?.close();
  return (catalog = await openSqliteCatalog({ file, tell: (sentence) => void told.push(sentence) }));
}

async function close(): Promise<void> {
  await catalog?.close();
  catalog = undefined;
}

async function add(to: Catalog, name: string, owner = 'ann'): Promise<string> {
  return (await addPublished(to, newContent(name), { owner, name })).id;
}

async function found(of: Catalog, search: string): Promise<string[]> {
  const { files } = await of.listFiles({ owner: 'ann', sort: 'name', descending: false, limit: 10, search });
  return files.map(({ name }) => name);
}

/** Waits until the index beside the closed catalog has all; what it finds, which may be more than the search keeps. */
async function inIndex(...parts: string[]): Promise<(string[] | undefined)[]> {
  const database = openBeside(file);
  const index = openNameIndex(`${file}-names`, database);
  try {
    await until('the index is made', () => index.find('ann', 'whatever', 100) !== undefined);
    return parts.map((part) => index.find('ann', part, 100));
  } finally {
    index.close();
    database.close();
  }
}

/** Adds many files of ann without their events, as a version from before the index may have left them. Half of them are bob's, too. */
function fill(files: number, toName: (n: number) => string): void {
  const database = openDatabase(file);
  bringUpToDate(database);
  const content = database.prepare(
    'INSERT INTO contents (md5, size, variant, key, published_at) VALUES (?, ?, 0, ?, ?)',
  );
  const insert = database.prepare(`INSERT INTO files (id, owner, name, folded_name, uploaded_at, content_id, size)
    VALUES (?, ?, ?, ?, ?, ?, ?)`);
  database.exec('BEGIN');
  for (let n = 1; n <= files; n++) {
    const { lastInsertRowid } = content.run(String(n), n, String(n), n);
    for (const owner of n % 2 === 0 ? ['ann', 'bob'] : ['ann'])
      insert.run(`${owner}${n}`, owner, toName(n), foldName(toName(n)), n, lastInsertRowid, n);
  }
  database.exec('COMMIT');
  database.close();
}

test('searches among many files find what a look at each name finds, before the index is made, and after', async () => {
  fill(FILES, nameOf);
  await expectAllFound(await open());
  await close();
  expect((await inIndex('rare'))[0]?.length).toBe(3);
  await expectAllFound(await open());
});

test('a search among very many names ends its page early, and the next page continues', async () => {
  const [names, matching] = [103_000, 2_500];
  fill(names, (n) => (n <= names - matching ? `a ${n}` : `z report ${n}`));
  const now = await open();
  const query = { owner: 'ann', sort: 'name', descending: false, limit: 2, search: 'report' } as const;
  const first = await now.listFiles(query);
  expect(first.files).toEqual([]);
  const second = await now.listFiles({ ...query, cursor: first.nextCursor ?? '' });
  expect(second.files.map(({ name }) => name)).toEqual(['z report 100501', 'z report 100502']);
  const last = await now.listFiles({ ...query, search: 'report 103000' });
  for (let page = last; ; page = await now.listFiles({ ...query, search: 'report 103000', cursor: page.nextCursor })) {
    if (page.nextCursor !== null && page.files.length === 0) continue;
    expect(page.files.map(({ name }) => name)).toEqual(['z report 103000']);
    break;
  }
});

test('a file is found as soon as it is there, by its new name as soon as it is renamed, and not when it is gone', async () => {
  const now = await open();
  for (let n = 0; n < 30; n++) {
    const id = await add(now, `Spindrift ${n}.txt`);
    expect(await found(now, `drift ${n}.`)).toEqual([`Spindrift ${n}.txt`]);
    await now.renameFile(id, 'ann', `Spoondrift ${n}.txt`, null);
    expect(await found(now, `ndrift ${n}.`)).toEqual([`Spoondrift ${n}.txt`]);
    expect(await found(now, `indrift ${n}.`)).toEqual([]);
    if (n % 2 === 0) continue;
    await now.deleteFile(id, 'ann');
    expect(await found(now, `drift ${n}.`)).toEqual([]);
  }
  await close();
  const [old, renamed] = await inIndex('spindrift', 'spoondrift');
  expect([old?.length, renamed?.length]).toEqual([0, 15]);
});

test('a search sees what is committed while a transaction is writing', async () => {
  const now = await open();
  await add(now, 'before.txt');
  const uploads = await Promise.all(Array.from({ length: 60 }, () => addUpload(now, { size: 100 })));
  // More than one commit takes: some are running, others wait.
  const commits = uploads.map((id) => now.commitOffset(commitTo(id, 10)));
  const adding = add(now, 'during.txt');
  expect(await found(now, 'before')).toEqual(['before.txt']);
  await Promise.all(commits);
  await adding;
  expect(await found(now, 'during')).toEqual(['during.txt']);
});

test('an index of another past is made anew', async () => {
  let now = await open();
  await add(now, 'common.txt');
  await close();
  await copyFile(file, `${file}-backup`);
  now = await open();
  await add(now, 'lost.txt');
  expect(await found(now, 'lost')).toEqual(['lost.txt']);
  await close();
  expect((await inIndex('lost'))[0]).toHaveLength(1);
  await copyFile(`${file}-backup`, file);
  now = await open();
  // The event has the number of the one that is lost.
  await add(now, 'other.txt');
  await add(now, 'third.txt');
  expect(await found(now, 'other')).toEqual(['other.txt']);
  await close();
  const [lost, other] = await inIndex('lost', 'other');
  expect([lost?.length, other?.length]).toEqual([0, 1]);
});

test('a damaged index is made anew, and searches find all the same', async () => {
  let now = await open();
  await add(now, 'kept.txt');
  await close();
  for (const content of ['no database', Buffer.alloc(10_000, 'SQLite format 3')]) {
    await writeFile(`${file}-names`, content);
    now = await open();
    expect(await found(now, 'kept')).toEqual(['kept.txt']);
    await close();
    expect((await inIndex('kept'))[0]).toHaveLength(1);
    expect(told.splice(0)).toEqual([expect.stringMatching(/catalog\.db-names cannot be kept up to date .*made anew/)]);
  }
});

test('an index that cannot be opened is reported once, and searches find all the same', async () => {
  const now = await open();
  await add(now, 'first.txt');
  await close();
  await rm(`${file}-names`, { force: true });
  await mkdir(`${file}-names`);
  const again = await open();
  await add(again, 'second.txt');
  expect(await found(again, '.txt')).toEqual(['first.txt', 'second.txt']);
  // It tries once more.
  await close();
  expect(told).toEqual([
    expect.stringMatching(/catalog\.db-names cannot be kept up to date \(SQLITE_CANTOPEN.*every minute/),
  ]);
});

/** Opens the index beside the catalog, which is closed but for this, and lets the test change the catalog, too. */
async function withIndex(use: (index: NameIndex, database: Database) => void | Promise<void>): Promise<void> {
  const [beside, database] = [openBeside(file), new Database(file)];
  const index = openNameIndex(`${file}-names`, beside);
  try {
    await use(index, database);
  } finally {
    index.close();
    beside.close();
    database.close();
  }
}

/** Adds a file that ann has, with so many events of it. */
function addFile(database: Database, id: string, events = 1): void {
  const times = JSON.stringify(Array.from({ length: events }, (_, n) => n));
  database.exec(`
    INSERT INTO contents (md5, size, variant, key, published_at) VALUES ('${id}', 1, 0, '${id}', 1);
    INSERT INTO files (id, owner, name, folded_name, uploaded_at, content_id, size)
      VALUES ('${id}', 'ann', '${id}', '${id}', 1, last_insert_rowid(), 1);
    INSERT INTO events (owner, kind, at, file_id, name, uploaded_at, content_id, md5, size)
      SELECT owner, 'renamed', value, files.id, name, uploaded_at, content_id, '', size FROM files, json_each('${times}')
      WHERE files.id = '${id}';
  `);
}

/** A catalog with a file, which its index has. */
async function makeIndexed(): Promise<void> {
  await add(await open(), 'first.txt');
  await close();
  expect((await inIndex('first'))[0]).toHaveLength(1);
}

test('what the index could not commit is indexed later', async () => {
  await makeIndexed();
  await withIndex((index, database) => {
    expect(index.find('ann', 'first', 100)).toHaveLength(1);
    addFile(database, 'second');
    const exec = Database.prototype.exec;
    const failing = vi.spyOn(Database.prototype, 'exec').mockImplementation(function (this: Database, sql) {
      if (sql === 'COMMIT') throw new SqliteError('database or disk is full', 'SQLITE_FULL');
      return exec.call(this, sql);
    });
    expect(index.find('ann', 'second', 100)).toBeUndefined();
    failing.mockRestore();
    expect(index.find('ann', 'second', 100)).toEqual(['second']);
  });
});

test('an index that is behind says nothing of files whose events it cannot count', async () => {
  await makeIndexed();
  await withIndex(async (index, database) => {
    // More than a search indexes first.
    addFile(database, 'often', 3_000);
    addFile(database, 'second');
    expect(index.find('ann', 'second', 100)).toBeUndefined();
    await until('the index has all', () => index.find('ann', 'second', 100) !== undefined);
    expect(index.find('ann', 'second', 100)).toEqual(['second']);
  });
});

test('events that are forgotten before they are indexed', async () => {
  await makeIndexed();
  await withIndex(async (index, database) => {
    expect(index.find('ann', 'first', 100)).toHaveLength(1);
    addFile(database, 'second');
    database.exec(`INSERT INTO forgotten_events SELECT 'ann', max(number) FROM events; DELETE FROM events`);
    addFile(database, 'third');
    for (const name of ['second', 'third']) {
      expect(index.find('ann', name, 100) ?? [name]).toEqual([name]);
      await until('the index is made anew', () => index.find('ann', name, 100) !== undefined);
      expect(index.find('ann', name, 100)).toEqual([name]);
    }
  });
});

test('an index that is closed while it waits leaves the event loop as it was', async () => {
  await makeIndexed();
  await withIndex((index) => until('it waits', () => index.find('ann', 'first', 100) !== undefined));
  const ran = new Promise((resolve) => setImmediate(resolve, 'ran'));
  const late = new Promise((resolve) => setTimeout(resolve, 5_000, 'late'));
  expect(await Promise.race([ran, late])).toBe('ran');
});

test('an index that has read what a power cut has undone is made anew', async () => {
  await makeIndexed();
  const saved = ['', '-wal'].map((suffix) => `${file}-names${suffix}`);
  await withIndex((index, database) => {
    addFile(database, 'before');
    // More than a search indexes: it knows the file by its new name, and not that it was renamed.
    addFile(database, 'often', 1_200);
    database.exec(`UPDATE files SET folded_name = 'after' WHERE id = 'before'`);
    addFile(database, 'last');
    index.find('ann', 'before', 100);
    // At once: it goes on in the next turn of the event loop.
    for (const path of saved) copyFileSync(path, `${path}-saved`);
    database.exec(`DELETE FROM events WHERE file_id = 'last'; DELETE FROM files WHERE id = 'last';
      UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'events';
      UPDATE files SET folded_name = 'before' WHERE id = 'before'`);
  });
  for (const path of saved) await copyFile(`${path}-saved`, path);
  expect((await inIndex('before'))[0]).toEqual(['before']);
});

test('pages by name continue where another version of Unicode has folded the names', async () => {
  fill(5, () => 'name');
  const database = openDatabase(file);
  database.exec(`UPDATE files SET folded_name = 'name' || char(0x1acf)`);
  database.close();
  const now = await open();
  const query = { owner: 'ann', sort: 'name', descending: false, limit: 2 } as const;
  for (const search of [undefined, 'am']) {
    const ids: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null && ids.length < 10;) {
      const page = await now.listFiles({ ...query, ...(search && { search }), ...(cursor && { cursor }) });
      ids.push(...page.files.map(({ id }) => id));
      cursor = page.nextCursor;
    }
    expect(ids).toEqual(['ann1', 'ann2', 'ann3', 'ann4', 'ann5']);
  }
});

test('a listing and a search do without a thread that cannot start', async () => {
  await add(await open(), 'one');
  const query = { owner: 'ann', sort: 'name', descending: false, limit: 2 } as const;
  const again = await open();
  renameSync(file, `${file}.away`);
  const without = await again.listFiles(query);
  expect(without.files.map(({ name }) => name)).toEqual(['one']);
  expect(await again.listFiles({ ...query, search: 'zzz' })).toEqual({ files: [], nextCursor: null });
  expect(told).toEqual([expect.stringContaining('started anew')]);
  renameSync(`${file}.away`, file);
  expect(await again.listFiles(query)).toEqual(without);
});

test('a thread that has died is replaced by one', async () => {
  const path = join(folder, 'later', 'catalog.db');
  const reader = createReader(path, (sentence) => void told.push(sentence));
  await expect(reader.rows('SELECT 1', [])).rejects.toMatchObject({ code: 'failed' });
  // At once: the thread has not ended yet.
  mkdirSync(join(folder, 'later'));
  const database = openDatabase(path);
  bringUpToDate(database);
  database.close();
  for (let time = 0; time < 20; time++) expect(await reader.rows('SELECT 1 AS one', [])).toEqual([{ one: 1 }]);
  await reader.close();
  expect(told).toEqual([expect.stringContaining('the thread that reads the catalog is started anew')]);
  // No other thread has it open.
  openDatabase(path).close();
});

test('checkpoints beside the main thread keep the log short', async () => {
  const now = await open();
  const metadata = 'x'.repeat(100_000);
  // 150 MB. The log begins anew after 16, or up to 33 where a checkpoint is slow.
  for (let n = 0; n < 1_500; n++) await addUpload(now, { metadata });
  expect((await stat(`${file}-wal`)).size).toBeLessThan(64 * 1024 * 1024);
  await close();
  await expect(stat(`${file}-wal`)).rejects.toMatchObject({ code: 'ENOENT' });
});
