/** Transactions of one turn share a commit: what that saves, and that each is kept or refused for itself. */
import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kysely } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { createCatalog } from '../../server/catalog/create-catalog.ts';
import type { Tables } from '../../server/catalog/schema.ts';
import { createCheckpoints } from '../../server/catalog/sqlite/checkpoints.ts';
import type { Database } from '../../server/catalog/sqlite/database.ts';
import { sqliteQueries } from '../../server/catalog/sqlite/dialect.ts';
import { createSqliteDialect } from '../../server/catalog/sqlite/driver.ts';
import { createClock } from '../../server/catalog/sqlite/clock.ts';
import { createSqlClock } from '../../server/catalog/sqlite/sql-clock.ts';
import { createNodeTables } from '../../server/catalog/sqlite/node-tables.ts';
import { openDatabase } from '../../server/catalog/sqlite/connection.ts';
import { bringUpToDate } from '../../server/catalog/sqlite/open.ts';
import { T0, timeBy, aboutNode, addUpload, commitTo, newContent, newFile, newUpload } from './fixtures.ts';

const MANY = 16;

let folder: string;
let database: Database;
let catalog: Catalog;
/** Called after each statement that writes. */
let onWrite: (isRelaxed: boolean) => void;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-catalog-'));
  database = openDatabase(join(folder, 'catalog.sqlite'));
  bringUpToDate(database);
  const clock = createClock({ source: timeBy(() => T0) });
  createNodeTables(database);
  onWrite = () => undefined;
  const db = new Kysely<Tables>({
    dialect: createSqliteDialect(database, { check: () => undefined, onWrite: (isRelaxed) => onWrite(isRelaxed) }),
  });
  const nothing = async () => {};
  const nodes = { clock: createSqlClock(clock), isShared: true };
  const others = { keepTime: nothing, durable: nothing, ping: nothing, close: nothing };
  catalog = createCatalog(db, { nodes, queries: sqliteQueries, clock, ...others });
});

afterEach(async () => {
  database.close();
  await rm(folder, { recursive: true });
});

const logBytes = (): number => statSync(join(folder, 'catalog.sqlite-wal')).size;
const each = <T>(action: (index: number) => Promise<T>): Promise<T>[] =>
  Array.from({ length: MANY }, (_, i) => action(i));

function publish(uploadId: string, text: string): ReturnType<Catalog['publish']> {
  return catalog.publish({ uploadId, epoch: 1, content: newContent(text), file: newFile() });
}

test('the log is marked before each of the two checkpoints that sync it', async () => {
  const told: string[] = [];
  const checkpoint = async (): Promise<void> => void told.push('checkpoint');
  const { between } = createSqliteDialect(database, { check: () => undefined, onWrite: () => undefined });
  const parts = { reader: { checkpoint }, between, beforeSync: () => void told.push('mark') };
  await createCheckpoints(database, parts).run();
  expect(told).toEqual(['mark', 'checkpoint', 'mark', 'checkpoint']);
});

test('calls that share a commit write fewer pages than calls one after the other', async () => {
  const before = logBytes();
  for (let index = 0; index < MANY; index++) await publish(await addUpload(catalog), `one ${index}`);
  const alone = logBytes() - before;
  const ids = await Promise.all(each(() => addUpload(catalog)));
  await Promise.all(ids.map((id, index) => publish(id, `two ${index}`)));
  expect(logBytes() - before - alone).toBeLessThan(alone / 2);
});

test('one that fails undoes itself alone', async () => {
  const ids = await Promise.all(each(() => addUpload(catalog, { size: 100 })));
  // Of another size than the upload: found out after the content was inserted.
  const outcomes = await Promise.allSettled(
    ids.map((id, index) =>
      catalog.publish({
        uploadId: id,
        epoch: 1,
        content: { ...newContent(`c${index}`), size: index % 4 === 1 ? 99 : 100 },
        file: newFile(),
      }),
    ),
  );
  expect(outcomes.map(({ status }) => status)).toEqual(ids.map((_, i) => (i % 4 === 1 ? 'rejected' : 'fulfilled')));
  const keys = await catalog.filterKeys(ids.map((_, index) => newContent(`c${index}`).key));
  expect(keys.size).toBe(MANY - MANY / 4);
  expect(await catalog.filterReceiving(ids)).toEqual(new Set(ids.filter((_, index) => index % 4 === 1)));
});

test('where SQLite undoes a whole commit, every caller in it is refused, nothing of it is kept, and later calls succeed', async () => {
  // As it does on a full disk.
  database.exec(`CREATE TEMP TRIGGER undo BEFORE INSERT ON main.uploads WHEN new.metadata = 'undo' BEGIN
    SELECT RAISE(ROLLBACK, 'undone'); END`);
  const kept = await addUpload(catalog);
  const uploads = Array.from({ length: MANY }, (_, index) => newUpload(index === MANY / 2 ? { metadata: 'undo' } : {}));
  const outcomes = await Promise.allSettled([
    catalog.commitOffset(commitTo(kept, 50)),
    ...uploads.map((upload) => catalog.createUpload(upload)),
  ]);
  const isThere = await Promise.all(uploads.map(async ({ id }) => (await catalog.findUpload(id)) !== undefined));
  const offset = (await catalog.findUpload(kept))?.offset ?? 0;
  expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual([offset === 50, ...isThere]);
  expect(isThere).toEqual(uploads.map((_, index) => index > MANY / 2));
  for (const outcome of outcomes.slice(0, MANY / 2)) {
    expect(outcome).toMatchObject({ reason: { code: 'failed', message: expect.stringContaining('undone') } });
  }
  expect(await catalog.commitOffset(commitTo(kept, 60))).toBeDefined();
});

test('nobody sees what is not committed', async () => {
  const id = await addUpload(catalog);
  const looks: Promise<{ state: string | undefined; isOpen: boolean }>[] = [];
  onWrite = () => {
    if (!database.inTransaction) return;
    const look = catalog.findUpload(id);
    looks.push(look.then((upload) => ({ state: upload?.state, isOpen: database.inTransaction })));
  };
  await Promise.all([publish(id, 'seen'), ...each(() => addUpload(catalog))]);
  expect(looks.length).toBeGreaterThan(MANY);
  for (const look of looks) expect(await look).toEqual({ state: 'complete', isOpen: false });
});

test('durable() waits for commits, but not for those of relaxed statements alone', async () => {
  const id = await addUpload(catalog);
  const seen: boolean[] = [];
  onWrite = (isRelaxed) => void seen.push(isRelaxed);
  await Promise.all([catalog.joinNode('a', aboutNode()), catalog.joinNode('b', aboutNode())]);
  expect(seen).not.toContain(false);
  await Promise.all([catalog.joinNode('c', aboutNode()), catalog.commitOffset(commitTo(id, 10))]);
  // The statement itself, and the commit.
  expect(seen.filter((isRelaxed) => !isRelaxed)).toHaveLength(2);
  expect(seen.at(-1)).toBe(false);
});
