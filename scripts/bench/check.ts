/** Measures GET /check with few and with many contents. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Database } from '../../server/catalog/sqlite/database.ts';
import { startService } from '../../test/harness/service.ts';
import { median, printTable } from './table.ts';

const COUNTS = [1_000, 1_000_000];
const REQUESTS = 2_000;
/** The step from one requested content to the next. */
const STRIDE = 7_919;

/** Runs the measurement. */
export async function benchCheck(folder: string): Promise<void> {
  const dataDir = await mkdtemp(join(folder, 'check-'));
  const service = await startService({ dataDir, env: { LOG_LEVEL: 'warn' } });
  const results: { count: number; present: number; absent: number }[] = [];
  try {
    let filled = 0;
    for (const count of COUNTS) {
      await service.kill('SIGTERM');
      fill(join(dataDir, 'catalog.db'), filled, count);
      filled = count;
      await storeBytes(join(dataDir, 'files'), count);
      await service.restart();
      await time(service.url, (i) => nameOf(i % count));
      results.push({
        count,
        present: await time(service.url, (i) => nameOf((i * STRIDE) % count)),
        absent: await time(service.url, (i) => nameOf(-1 - i)),
      });
    }
  } finally {
    await service.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
  const [base] = results;
  printTable(
    ['contents', 'present: median ms', 'ratio', 'absent: median ms', 'ratio'],
    results.map(({ count, present, absent }) => [
      count.toLocaleString('en'),
      present.toFixed(3),
      (present / (base?.present ?? NaN)).toFixed(2),
      absent.toFixed(3),
      (absent / (base?.absent ?? NaN)).toFixed(2),
    ]),
  );
}

/** Writes the bytes of the contents that are requested: a check looks for them and compares their size. */
async function storeBytes(folder: string, count: number): Promise<void> {
  for (let i = 0; i < REQUESTS; i++) {
    for (const index of [i % count, (i * STRIDE) % count]) await writeFile(join(folder, nameOf(index)), 'x');
  }
}

/** Inserts rows as publications do, without the bytes. */
function fill(file: string, from: number, to: number): void {
  const database = new Database(file);
  const content = database.prepare(
    `insert into contents (id, md5, size, variant, sha1, sha256, key, published_at) values (?, ?, 1, 0, null, null, ?, 0)`,
  );
  const entry = database.prepare(
    `insert into files (id, owner, name, folded_name, type, uploaded_at, content_id, size) values (?, 'anyone', ?, ?, null, 0, ?, 1)`,
  );
  database.transaction(() => {
    for (let i = from; i < to; i++) {
      const md5 = nameOf(i);
      content.run(i + 1_000_000_000, md5, md5);
      entry.run(`bench-${i}`, `file ${i}`, `file ${i}`, i + 1_000_000_000);
    }
  })();
  database.close();
}

function nameOf(index: number): string {
  return createHash('md5').update(String(index)).digest('hex');
}

async function time(url: string, md5: (index: number) => string): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < REQUESTS; i++) {
    const startedAt = performance.now();
    const answer = await fetch(`${url}/check?md5=${md5(i)}`);
    await answer.text();
    if (!answer.ok) throw new Error(`/check answered ${answer.status}`);
    times.push(performance.now() - startedAt);
  }
  return median(times);
}
