/** Searches by the index of names that SQLite's catalog keeps beside itself, and what becomes of it. */
import { copyFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { openBeside, openDatabase } from '../../server/catalog/sqlite/connection.ts';
import { openNameIndex } from '../../server/catalog/sqlite/name-index.ts';
import { bringUpToDate, openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { foldName } from '../../server/wire/fold-name.ts';
import { until } from '../system/support.ts';
import { addPublished, addUpload, commitTo, newContent } from './fixtures.ts';
import { expectAllFound, FILES, nameOf } from './search-parts.ts';

let folder: string;
let file: string;
let catalog: Catalog | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-names-'));
  file = join(folder, 'catalog.db');
});

afterEach(async () => {
  await catalog?.close();
  await rm(folder, { recursive: true });
});

async function open(): Promise<Catalog> {
  await catalog?.close();
  return (catalog = await openSqliteCatalog({ file }));
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
  }
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
