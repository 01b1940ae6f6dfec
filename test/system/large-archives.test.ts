/** Archives of many files, and of many bytes: they open, and memory does not grow with them. */
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { IS_LINUX } from '../harness/needs.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { ZIP_READERS } from '../harness/zip-readers.ts';
import { putFile } from '../http/support.ts';

const COUNT = 70_000;
const MIB = 1024 * 1024;
const LARGE_BYTES = 8 * MIB;
const LARGE_COUNT = 40;

let service: RunningService;
let small: string[];
let large: string[];

/** Gives a content many names, in the database itself. @returns the ids of its files. */
function addNames(catalog: Database.Database, fileId: string, count: number): string[] {
  catalog
    .prepare(
      `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count - 1})
      INSERT INTO files (id, owner, name, folded_name, type, uploaded_at, content_id, size)
      SELECT printf('%s-%06d', id, n), owner, printf('numbered %06d.txt', n),
        printf('numbered %06d.txt', n), type, uploaded_at + n, content_id, size FROM files, numbers WHERE id = ?`,
    )
    .run(fileId);
  const more = Array.from({ length: count - 1 }, (_, index) => `${fileId}-${String(index + 1).padStart(6, '0')}`);
  return [fileId, ...more];
}

beforeAll(async () => {
  service = await startService();
  const one = await putFile(service.url, 'one small content\n', { filename: 'small.txt' });
  const other = await putFile(service.url, makeBytes(LARGE_BYTES, 91), { filename: 'large.bin' });
  await service.kill('SIGTERM');
  const catalog = new Database(join(service.dataDir, 'catalog.db'));
  small = addNames(catalog, one.fileId, COUNT);
  large = addNames(catalog, other.fileId, LARGE_COUNT);
  catalog.close();
  await service.restart();
});
afterAll(() => service.stop());

/** The most memory that the service has had, in MiB. */
async function peakMib(): Promise<number> {
  const status = await readFile(`/proc/${service.pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

/** Downloads an archive to a file. @returns how many bytes were announced. */
function save(ids: readonly string[], path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      `${service.url}/api/archive`,
      { method: 'POST', headers: { 'Content-Type': 'application/json' } },
      (answer) => {
        const announced = Number(answer.headers['content-length']);
        if (answer.statusCode === 200) {
          pipeline(answer, createWriteStream(path)).then(() => resolve(announced), reject);
        } else reject(new Error(`POST /api/archive: ${answer.statusCode}`));
      },
    );
    request.on('error', reject);
    request.end(JSON.stringify({ id: ids }));
  });
}

describe('an archive', () => {
  test(`of ${LARGE_COUNT} times ${LARGE_BYTES / MIB} MiB takes no more memory than its first files`, async () => {
    const before = IS_LINUX ? await peakMib() : 0;
    expect(await save(large, '/dev/null')).toBeGreaterThan(LARGE_COUNT * LARGE_BYTES);
    if (IS_LINUX) expect((await peakMib()) - before).toBeLessThan(100);
  });

  test(`of ${COUNT} files opens in all readers`, async () => {
    const path = join(await makeTempFolder(), 'many.zip');
    const before = IS_LINUX ? await peakMib() : 0;
    await save(small, path);
    // Their ids, names and offsets; the headers of the central directory are made one after the other.
    if (IS_LINUX) expect((await peakMib()) - before).toBeLessThan(200);
    for (const reader of ZIP_READERS.filter(({ isHere }) => isHere)) await reader.check(path);
  });
});
