/** A log that is not there, or not of this time: said before it is applied, and never of one that is right. */
import { copyFile, mkdtemp, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { lookAtLog } from '../../server/catalog/sqlite/log-mark.ts';
import { type CatalogProcess, startCatalogProcess } from './catalog-process.ts';
import { newUpload } from './fixtures.ts';

/** So large that some 150 uploads fill a generation of the log. */
const METADATA = 'x'.repeat(100_000);
const PER_GENERATION = 170;

let folder: string;
let file: string;
let child: CatalogProcess | undefined;
let count: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-log-'));
  file = join(folder, 'catalog.db');
  count = 0;
});

afterEach(async () => {
  await child?.kill();
  await rm(folder, { recursive: true });
});

async function start(): Promise<CatalogProcess> {
  child = startCatalogProcess(file);
  await child.opened;
  return child;
}

/** Adds uploads; the id of the last one. */
async function add(to: CatalogProcess, uploads: number): Promise<string> {
  for (let index = 0; index < uploads; index++) {
    await to.call('createUpload', newUpload({ id: `upload-${++count}`, metadata: METADATA }));
  }
  await to.call('durable');
  return `upload-${count}`;
}

/** Adds uploads until the log has begun anew so many times: its salts change (SQLite: "WAL-mode File Format", section 4.1). */
async function addGenerations(to: CatalogProcess, generations: number): Promise<void> {
  const salts = async (): Promise<string> => {
    const log = await open(`${file}-wal`);
    const { buffer } = await log.read(Buffer.alloc(8), 0, 8, 16);
    await log.close();
    return buffer.toString('hex');
  };
  for (let generation = 0; generation < generations; generation++) {
    const before = await salts();
    while ((await salts()) === before) await add(to, 10);
  }
}

/** What a start says; it changes nothing. */
async function refusal(): Promise<string> {
  const read = async (): Promise<Buffer[]> => {
    const names = (await readdir(folder)).filter((name) => !name.endsWith('-reserve')).sort();
    return Promise.all(names.map((name) => readFile(join(folder, name))));
  };
  const before = await read();
  const said = await openSqliteCatalog({ file }).then(
    async (catalog) => {
      await catalog.close();
      return 'it opened';
    },
    (error: Error) => error.message,
  );
  expect(before.every((bytes, index) => bytes.equals(before[index] ?? Buffer.alloc(0)))).toBe(true);
  const after = await read();
  expect(after.length).toBe(before.length);
  expect(after.every((bytes, index) => bytes.equals(before[index] ?? Buffer.alloc(0)))).toBe(true);
  return said;
}

async function has(id: string, options: { adopt?: boolean; tell?: (found: string) => void } = {}): Promise<boolean> {
  const catalog = await openSqliteCatalog({ file, ...options });
  try {
    return (await catalog.findUpload(id)) !== undefined;
  } finally {
    await catalog.close();
  }
}

test('a log that is right is never taken for a wrong one, wherever in its work a process is killed', async () => {
  for (let round = 0; round < 6; round++) {
    const writer = await start();
    const acknowledged = await add(writer, 20);
    const adding = add(writer, 2 * PER_GENERATION).catch(() => undefined);
    await wait(round * 120);
    await writer.kill();
    await adding;
    expect(lookAtLog(file)).toBe('fits');
    expect(await has(acknowledged)).toBe(true);
    expect(lookAtLog(file)).toBe('clean');
  }
});

test('a process that is killed while it opens leaves a log that is right', async () => {
  for (let round = 0; round < 8; round++) {
    const opening = (child = startCatalogProcess(file));
    opening.opened.catch(() => undefined);
    await wait(100 + round * 40);
    await opening.kill();
    if ((await stat(file).catch(() => undefined)) !== undefined) expect(lookAtLog(file)).toMatch(/^(?:fits|clean)$/);
  }
  const writer = await start();
  const id = await add(writer, 1);
  await writer.kill();
  expect(await has(id)).toBe(true);
});

test('a log that is gone', async () => {
  const writer = await start();
  const id = await add(writer, 3);
  await writer.kill();
  await rename(`${file}-wal`, `${file}-away`);
  expect(await refusal()).toMatch(/is not there.*was not stopped.*--adopt/);
  await rename(`${file}-away`, `${file}-wal`);
  expect(await has(id)).toBe(true);
});

test('a log that is gone for good: --adopt continues without it', async () => {
  const writer = await start();
  const id = await add(writer, 3);
  await writer.kill();
  await rm(`${file}-wal`);
  const told: string[] = [];
  expect(await has(id, { adopt: true, tell: (found) => void told.push(found) })).toBe(false);
  expect(told).toEqual([expect.stringContaining('is not there')]);
  expect(await has(id)).toBe(false);
});

test('a copy of a stopped catalog, put beside the log of a later time', async () => {
  const first = await start();
  await add(first, 1);
  await first.call('close');
  await first.kill();
  await copyFile(file, `${file}-backup`);
  for (let run = 0; run < 2; run++) {
    const later = await start();
    await add(later, 5);
    if (run === 0) await later.call('close');
    await later.kill();
  }
  await copyFile(file, `${file}-newest`);
  await copyFile(`${file}-backup`, file);
  expect(await refusal()).toMatch(/is not that of the catalog.*--adopt/);
  // The log that it was taken from is still right for its own.
  await copyFile(`${file}-newest`, file);
  expect(await has('upload-11')).toBe(true);
});

test('a copy of a running catalog, put beside its log of an hour later', async () => {
  const writer = await start();
  // The first one is as long as the opening.
  await addGenerations(writer, 2);
  await copyFile(file, `${file}-backup`);
  await addGenerations(writer, 2);
  await writer.kill();
  await copyFile(`${file}-backup`, file);
  expect(await refusal()).toContain('is not that of the catalog');
  const told: string[] = [];
  expect(await has('upload-100', { adopt: true, tell: (found) => void told.push(found) })).toBe(true);
  expect(told).toHaveLength(1);
  // Kept under another name.
  expect((await readdir(folder)).filter((name) => name.includes('-wal-unfit-'))).toHaveLength(1);
  expect(await has(`upload-${count}`)).toBe(false);
});

test('an older log beside a newer catalog, and the log of another catalog', async () => {
  const first = await start();
  await add(first, 5);
  await copyFile(`${file}-wal`, `${file}-older`);
  await addGenerations(first, 2);
  await first.kill();
  await copyFile(`${file}-older`, `${file}-wal`);
  expect(await refusal()).toContain('is not that of the catalog');
  const other = join(folder, 'other.db');
  const writer = (child = startCatalogProcess(other));
  await writer.opened;
  await add(writer, 1);
  await writer.kill();
  await copyFile(`${other}-wal`, `${file}-wal`);
  expect(await refusal()).toContain('is not that of the catalog');
});

test('a log whose catalog is gone', async () => {
  const writer = await start();
  const id = await add(writer, 1);
  await writer.kill();
  await rename(file, `${file}-away`);
  expect(await refusal()).toContain('is not that of the catalog');
  await rename(`${file}-away`, file);
  expect(await has(id)).toBe(true);
});
