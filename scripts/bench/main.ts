/**
 * `npm run bench`: compares this service with others, in one run, on this machine.
 * Arguments: names of parts to run (see PARTS); by default all but `targets`, which repeats others, and `archives`, which
 * measures nothing that could be compared. After `archives`, the GiB of its file. After `catalog`, two numbers: how many files and how many open uploads the large catalog has. After `search`, `loop` or `targets`, how many files the owner
 * has. After `digests`, numbers of uploads.
 * BENCH_DIR: folder on the disk to measure (default: the system's temporary folder).
 * BENCH_ROUNDS: rounds of the side-by-side, bucket, nodes, workers, threads and targets parts (default 3), and of digests and last-byte (default 5).
 * BENCH_ONLY: runs only workloads of these parts whose names contain this.
 * BENCH_BEFORE: dist folder of another build, which the side-by-side, digests and bucket parts measure too.
 * BENCH_DIGESTS: DIGESTS of the service, e.g. md5,sha1; by default md5 alone, which does no work after a publication.
 * BENCH_NODE_CPUS: in the nodes and workers parts, the processors of each node or worker (default 0.25).
 * BENCH_SHARE: in the nodes and workers parts, sends only this share of the files (default 1), for a quick try.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { benchArchives } from './archives.ts';
import { benchBucket } from './bucket.ts';
import { benchCatalog } from './catalog.ts';
import { benchCheck } from './check.ts';
import { benchDigests } from './digests.ts';
import { benchGoals } from './goals.ts';
import { benchJoin } from './join.ts';
import { benchLastByte } from './last-byte.ts';
import { benchLoop } from './loop.ts';
import { benchMemory } from './memory.ts';
import { benchNodes } from './nodes.ts';
import { benchSearch } from './search.ts';
import { benchSideBySide } from './side-by-side.ts';
import { benchStreams } from './streams.ts';
import { benchThreads } from './threads.ts';
import { benchWorkers } from './workers.ts';

const PARTS = {
  'side-by-side': benchSideBySide,
  'last-byte': benchLastByte,
  check: benchCheck,
  memory: benchMemory,
  digests: benchDigests,
  bucket: benchBucket,
  nodes: benchNodes,
  join: benchJoin,
  catalog: benchCatalog,
  streams: benchStreams,
  search: benchSearch,
  loop: benchLoop,
  workers: benchWorkers,
  threads: benchThreads,
  archives: benchArchives,
  targets: benchGoals,
} as const;

/** Run only where they are named. */
const BY_NAME: readonly string[] = ['targets', 'archives'];

function isPart(name: string): name is keyof typeof PARTS {
  return name in PARTS;
}

const counts = process.argv
  .slice(2)
  .filter((argument) => /^\d+$/.test(argument))
  .map(Number);
const asked = process.argv.slice(2).filter((argument) => !/^\d+$/.test(argument));
const unknown = asked.filter((name) => !isPart(name));
if (unknown.length > 0) {
  process.stderr.write(`Unknown: ${unknown.join(', ')}. There are: ${Object.keys(PARTS).join(', ')}.\n`);
  process.exit(2);
}
const names =
  asked.length > 0
    ? asked.filter(isPart)
    : (Object.keys(PARTS) as (keyof typeof PARTS)[]).filter((name) => !BY_NAME.includes(name));
const folder = await mkdtemp(join(process.env['BENCH_DIR'] ?? tmpdir(), 'tidemark-bench-'));
try {
  process.stdout.write(
    `Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model}, ${Math.round(totalmem() / 1024 ** 3)} GiB\n`,
  );
  for (const name of names) {
    process.stdout.write(`\n## ${name}\n\n`);
    await PARTS[name](folder, counts);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
