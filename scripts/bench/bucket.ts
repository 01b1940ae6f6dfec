/** Compares ways to store into the same bucket of one Ceph: speed, CPU, memory, local disk, and S3 requests per file. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { startFaultProxy } from '../../test/harness/fault-proxy.ts';
import { CEPH_MISSING, type RunningRgw, startRgw } from '../../test/harness/rgw.ts';
import { makeRandomFile } from '../../test/harness/make-file.ts';
import { describeBigFilesClient, sendBigFiles } from './big-files.ts';
import { compare, type Workload } from './compare.ts';
import { sendFileAtOnce } from './load.ts';
import { printTable } from './table.ts';
import { bucketEnv, findOnPath, listBuilds, listTusd, startDirect, startScript, type StartTarget } from './targets.ts';

const MIB = 1024 * 1024;
/** The name of what sends to the bucket itself. */
export const LIB_STORAGE = 'lib-storage, no server';
/** Sizes of the files whose requests are counted. */
const COUNTED_MIB = [1, 100, 1024];

/** The loads. @param folder - for what is sent. */
export function listBucketLoads(folder: string): Record<'single' | 'middle' | 'stream' | 'crowd', Workload> {
  const load = (name: string, files: number, mib: number, atOnce: boolean): Workload => ({
    name: `Ceph: ${name}`,
    bytes: files * mib * MIB,
    hasMemory: true,
    // In one request and in parts.
    warmUp: async (target) => {
      await sendBigFiles(folder, target, { files: 100, sizeBytes: 10 * 1024, atOnce: false }, 'warm-up');
      // As many as the load of this size needs until V8 compiles no more: some 20 ms of a file were its compiler's.
      await sendBigFiles(folder, target, { files: 200, sizeBytes: MIB, atOnce: false }, 'warm-up');
      await sendBigFiles(folder, target, { files: 1, sizeBytes: 100 * MIB, atOnce: false }, 'warm-up');
    },
    run: (target) => sendBigFiles(folder, target, { files, sizeBytes: mib * MIB, atOnce }),
  });
  return {
    single: load('50 x 1 MiB, one after the other', 50, 1, false),
    middle: load('100 MiB in one stream', 1, 100, false),
    stream: load('1 GiB in one stream', 1, 1024, false),
    crowd: load('64 x 16 MiB at once', 64, 16, true),
  };
}

/** Runs the comparison. */
export async function benchBucket(folder: string): Promise<void> {
  if (CEPH_MISSING !== undefined) {
    process.stdout.write(`skipped: ${CEPH_MISSING}\n`);
    return;
  }
  process.stdout.write(`${describeBigFilesClient()}\n\n`);
  const rclone = await findRclone(folder);
  for (const workload of Object.values(listBucketLoads(folder))) {
    // A new Ceph for each workload: its disk holds about 16 GiB.
    await withRgw(async (rgw) => {
      const targets = [
        startPlain(rgw),
        ...listBucketRivals(rgw),
        ...(rclone ? [startRclone(rgw, rclone, folder)] : []),
      ];
      await compare([workload], { folder, targets, disk: true });
    });
  }
  if (!process.env['BENCH_ONLY']) await withRgw((rgw) => countRequests(rgw, folder));
}

/** This service (and the build before it), tusd where it is, and lib-storage without a server. */
export function listBucketRivals(rgw: RunningRgw): StartTarget[] {
  return [...startTidemarks(rgw), ...listTusd(rgw), startLibStorage(rgw)];
}

/** Gives a new Ceph to `use`, and stops it afterwards. */
export async function withRgw(use: (rgw: RunningRgw) => Promise<void>): Promise<void> {
  const rgw = await startRgw();
  try {
    await use(rgw);
  } finally {
    await rgw.stop();
  }
}

/** The builds of this service. @param port - the gateway's, or that of a proxy in front of it. */
function startTidemarks(rgw: RunningRgw, port = rgw.port): StartTarget[] {
  // A bucket's prefix belongs to one catalog, and each service that is started has a new one.
  return listBuilds(() => ({ STORE: 'ceph', ...bucketEnv(rgw, port), S3_PREFIX: `${randomUUID()}/` }));
}

function startPlain(rgw: RunningRgw, port = rgw.port): StartTarget {
  return (folder) => startScript('@tus/server + S3Store', 'plain-s3-server.js', 'tus', folder, bucketEnv(rgw, port));
}

function startLibStorage(rgw: RunningRgw): StartTarget {
  return () => startDirect(LIB_STORAGE, 'lib-storage-client.js', bucketEnv(rgw, rgw.port));
}

/** Prepares rclone, where it is installed. It copies files, so one of each size is created in the folder. */
async function findRclone(folder: string): Promise<string | undefined> {
  const rclone = findOnPath('rclone');
  if (!rclone) return undefined;
  for (const size of [10 * 1024, MIB, 16 * MIB, 100 * MIB, 1024 * MIB]) {
    await makeRandomFile(join(folder, `rclone-${size}`), size);
  }
  return rclone;
}

function startRclone(rgw: RunningRgw, rclone: string, folder: string): StartTarget {
  const env = { ...bucketEnv(rgw, rgw.port), RCLONE: rclone, SOURCE: join(folder, 'rclone-') };
  return () => startDirect('rclone, no server', 'rclone-client.js', env);
}

/** Counts the requests of each file, in a run of its own: the proxy that counts would slow the others down. */
async function countRequests(rgw: RunningRgw, folder: string): Promise<void> {
  const rows: string[][] = [];
  const proxy = await startFaultProxy({ toPort: rgw.port });
  try {
    for (const start of [...startTidemarks(rgw, proxy.port), startPlain(rgw, proxy.port)]) {
      const target = await start(folder);
      try {
        for (const size of COUNTED_MIB) {
          const before = proxy.calls().length;
          await sendFileAtOnce(target, size * MIB);
          const kinds = new Map<string, number>();
          for (const { operation } of proxy.calls().slice(before)) {
            kinds.set(operation, (kinds.get(operation) ?? 0) + 1);
          }
          const list = [...kinds].map(([operation, count]) => `${count} ${operation}`).join(', ');
          rows.push([target.name, `${size} MiB`, String(proxy.calls().length - before), list]);
        }
      } finally {
        await target.stop();
      }
    }
  } finally {
    await proxy.stop();
  }
  process.stdout.write('### Ceph: S3 requests of one upload\n\n');
  printTable(['server', 'size', 'requests', 'which'], rows);
}
