/** A service on SQLite whose catalog has many files of one owner, without their bytes. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Database } from '../../server/catalog/sqlite/database.ts';
import { ANYONE } from '../../server/config/config.ts';
import { type RunningService, startService } from '../../test/harness/service.ts';
import { cpuSeconds } from './processes.ts';

export const FILES = 1_000_000;
const OPEN_UPLOADS = 10_000;
const EVENTS = 10_000;
/** Rows of one transaction, so that the log stays small. */
const BATCH = 20_000;
const DAY_MS = 24 * 3_600_000;
const IDLE_LOOK_MS = 1_000;
const LONGEST_UNTIL_IDLE_MS = 240_000;

const WORDS = ['invoice', 'report', 'photo', 'backup', 'holiday', 'contract', 'scan', 'minutes'];
const ENDINGS = ['.pdf', '.jpg', '.tar.gz', '.docx'];
/** A word in one of 1,000 names. */
export const SELDOM = 'quarterly';
/** A word in the names of ten files. */
export const RARE = 'xylograph';
/** A word in no name, of letters that stand in this order in none. */
export const ABSENT = 'zugzwang';

/** Starts a service with so many files, 10,000 open uploads and 10,000 events; `use` gets it once it has nothing to do. */
export async function withFilledService(
  { folder, files, env = {} }: { folder: string; files: number; env?: NodeJS.ProcessEnv },
  use: (service: RunningService) => Promise<void>,
): Promise<void> {
  const dataDir = await mkdtemp(join(folder, 'filled-'));
  // The first start creates the tables.
  const service = await startService({ dataDir, env: { LOG_LEVEL: 'warn', ...env } });
  try {
    await service.kill('SIGTERM');
    fill(join(dataDir, 'catalog.db'), files);
    await service.restart();
    const seconds = await untilIdle(service.pid);
    process.stdout.write(
      `${files.toLocaleString('en')} files of one owner: idle ${seconds.toFixed(0)} s after the start\n\n`,
    );
    await use(service);
  } finally {
    await service.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** After a start there may be an index to make. */
async function untilIdle(pid: number): Promise<number> {
  const startedAt = performance.now();
  for (let before = cpuSeconds(pid); ;) {
    await wait(IDLE_LOOK_MS);
    const now = cpuSeconds(pid);
    if ((now - before) * 1000 < IDLE_LOOK_MS / 20) break;
    before = now;
    if (performance.now() - startedAt > LONGEST_UNTIL_IDLE_MS)
      throw new Error('the service has work that does not end');
  }
  return (performance.now() - startedAt) / 1000;
}

function fill(file: string, files: number): void {
  const database = new Database(file);
  database.pragma('synchronous = OFF');
  const inBatches = (count: number, insert: (n: number) => void): void => {
    for (let from = 1; from <= count; from += BATCH) {
      database.transaction(() => {
        for (let n = from; n < from + BATCH && n <= count; n++) insert(n);
      })();
    }
  };
  withoutIndexes(database, () => {
    insertFiles(database, inBatches, files);
    insertUploads(database, inBatches);
  });
  database.close();
}

type InBatches = (count: number, insert: (n: number) => void) => void;

function insertFiles(database: Database, inBatches: InBatches, files: number): void {
  const content = database.prepare(
    `insert into contents (id, md5, sha1, size, variant, key, published_at) values (?, ?, ?, ?, 0, ?, 0)`,
  );
  const entry = database.prepare(
    `insert into files (id, owner, name, folded_name, type, uploaded_at, content_id, size)
      values (?, '${ANYONE}', ?, ?, null, ?, ?, ?)`,
  );
  const event = database.prepare(
    `insert into events (owner, kind, at, file_id, name, uploaded_at, content_id, md5, size)
      values ('${ANYONE}', 'published', ?, ?, ?, ?, ?, ?, ?)`,
  );
  const firstAt = Date.now() - files;
  inBatches(files, (n) => {
    const [id, digest, size, name] = [randomUUID(), md5(`${n}`), 1000 + (n % 100_000), nameOf(n, files)];
    content.run(n, digest, `${digest}00000000`, size, digest);
    entry.run(id, name, name, firstAt + n, n, size);
    if (n > files - EVENTS) event.run(firstAt + n, id, name, firstAt + n, n, digest, size);
  });
}

/** Of other owners: an owner's unfinished uploads are limited. */
function insertUploads(database: Database, inBatches: InBatches): void {
  const upload = database.prepare(
    `insert into uploads (id, owner, state, size, md5, metadata, "offset", epoch, created_at, last_byte_at, expires_at)
      values (?, ?, 'receiving', 1000000, ?, '', 0, 1, ?, ?, ?)`,
  );
  const now = Date.now();
  inBatches(OPEN_UPLOADS, (n) => {
    upload.run(randomUUID(), `owner ${n % 1000}`, md5(`open ${n}`), now - n, now - n, now + DAY_MS + n);
  });
}

/** Creating an index afterwards is faster than keeping it up to date. */
function withoutIndexes(database: Database, insert: () => void): void {
  const indexes = database
    .prepare(
      `select name, sql from sqlite_schema
        where type = 'index' and sql is not null and tbl_name in ('contents', 'files', 'uploads')`,
    )
    .all() as { name: string; sql: string }[];
  for (const { name } of indexes) database.exec(`drop index ${name}`);
  insert();
  for (const { sql } of indexes) database.exec(sql);
  database.exec('analyze');
}

/** As the names in catalog-rows.ts. */
function nameOf(n: number, files: number): string {
  const rare = n % (files / 10) === 2 ? ` ${RARE}` : '';
  const seldom = n % 1000 === 1 ? ` ${SELDOM}` : '';
  const date = `20${10 + (n % 15)}-${10 + (n % 3)}-${10 + (n % 19)}`;
  return `${WORDS[n % 8]}${seldom}${rare} ${date} ${md5(`name ${n}`).slice(0, 8)}${ENDINGS[Math.floor(n / 8) % 4]}`;
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}
