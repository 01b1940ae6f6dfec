/** Measures the catalog in PostgreSQL with few and with many rows: both are open at once, and calls alternate between them. */
import { loadavg } from 'node:os';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { POSTGRES_MISSING, startPostgres } from '../../test/harness/postgres.ts';
import { createDatabaseOf } from '../../test/harness/shared-postgres.ts';
import { type Call, type Marks, callsOf, NODE, readMarks } from './catalog-calls.ts';
import { fillCatalog } from './catalog-rows.ts';
import { median, printTable } from './table.ts';

const SMALL = { files: 10_000, uploads: 1_000 };
const LARGE = { files: 1_000_000, uploads: 10_000 };
const MOST_CALLS = 300;
const FEWEST_CALLS = 5;
/** The time for a call in one round: slow calls are made less often. */
const CALL_BUDGET_MS = 4_000;
const MIB = 1024 ** 2;

interface Filled {
  catalog: Catalog;
  marks: Marks;
}

/** Runs the measurement. @param counts - how many files and open uploads the large catalog has. */
export async function benchCatalog(_folder: string, [files, uploads]: number[] = []): Promise<void> {
  if (POSTGRES_MISSING !== undefined) {
    process.stdout.write(`${POSTGRES_MISSING}\n`);
    return;
  }
  const large = { files: files ?? LARGE.files, uploads: uploads ?? LARGE.uploads };
  const server = await startPostgres();
  const opened: Catalog[] = [];
  const open = async (counts: typeof SMALL): Promise<Filled> => {
    const database = await createDatabaseOf(server.port);
    const { catalog, tookMs } = await fill(database.url, () => fillCatalog(database, counts));
    opened.push(catalog);
    const size = `${counts.files.toLocaleString('en')} files, ${counts.uploads.toLocaleString('en')} open uploads`;
    process.stdout.write(`${size}: filled in ${(tookMs / 1000).toFixed(0)} s\n`);
    return { catalog, marks: await readMarks(database, counts) };
  };
  try {
    const [few, many] = [await open(SMALL), await open(large)];
    process.stdout.write(`load of the machine: ${loadavg()[0]?.toFixed(1)}\n\n`);
    await compare(few, many);
    process.stdout.write(`\nload of the machine: ${loadavg()[0]?.toFixed(1)}\n`);
  } finally {
    for (const catalog of opened) await catalog.close();
    await server.stop();
  }
}

async function fill(url: string, run: () => Promise<void>): Promise<{ catalog: Catalog; tookMs: number }> {
  // Opening it creates the tables.
  const catalog = await openPostgresCatalog({ url });
  const startedAt = performance.now();
  await run();
  await catalog.joinNode(NODE, { name: 'bench', version: '0', process: null, isAlone: false });
  return { catalog, tookMs: performance.now() - startedAt };
}

interface Timed {
  name: string;
  calls: [Call, Call];
  timesMs: [number[], number[]];
  spentMs: number;
}

/** Makes all calls in turns, round after round, so that other load on the machine affects all of them alike. */
async function compare(few: Filled, many: Filled): Promise<void> {
  const ofMany = callsOf(many.catalog, many.marks);
  const timed = Object.entries(callsOf(few.catalog, few.marks)).map(([name, call]): Timed => ({
    name,
    calls: [call, ofMany[name] as Call],
    timesMs: [[], []],
    spentMs: 0,
  }));
  const memory = rssMiB();
  for (let round = 0; round <= MOST_CALLS; round++) {
    for (const { catalog } of [few, many]) await catalog.beatNode(NODE);
    for (const each of timed) {
      if (round > FEWEST_CALLS && each.spentMs > CALL_BUDGET_MS) continue;
      // The two catalogs take turns to be first.
      for (const which of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) await time(each, which, round);
    }
  }
  printTable(
    ['call', 'few: median ms', 'many: median ms', 'ratio', 'calls'],
    timed.map(({ name, timesMs }) => {
      const [ofFew, ofAll] = [median(timesMs[0]), median(timesMs[1])];
      return [name, ofFew.toFixed(2), ofAll.toFixed(2), (ofAll / ofFew).toFixed(2), `2 x ${timesMs[0].length}`];
    }),
  );
  process.stdout.write(`\nmemory of this process: ${memory} MiB before, ${rssMiB()} MiB after\n`);
}

/** Times one call. The first round only warms up, and is not recorded. */
async function time(timed: Timed, which: 0 | 1, round: number): Promise<void> {
  const startedAt = performance.now();
  await timed.calls[which](round);
  const tookMs = performance.now() - startedAt;
  if (round === 0) return;
  timed.timesMs[which].push(tookMs);
  timed.spentMs += tookMs;
}

function rssMiB(): string {
  return (process.memoryUsage().rss / MIB).toFixed(0);
}
