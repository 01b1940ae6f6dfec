/** Compares ways to store into the same bucket of one Ceph: speed, CPU, memory, local disk, and S3 requests per file. */
import { join } from 'node:path';
import { startFaultProxy } from '../../test/harness/fault-proxy.ts';
import { CEPH_MISSING, type RunningRgw, startRgw } from '../../test/harness/rgw.ts';
import { makeRandomFile } from '../../test/harness/make-file.ts';
import { compare, type Workload } from './compare.ts';
import { inParallel, sendFile } from './load.ts';
import { printTable } from './table.ts';
import {
  bucketEnv,
  findOnPath,
  listBuilds,
  startDirect,
  startScript,
  type StartTarget,
  type Target,
} from './targets.ts';

const MIB = 1024 * 1024;
/** Sizes of the files whose requests are counted. */
const COUNTED_MIB = [1, 100, 1024];

async function send(target: Target, size: number): Promise<void> {
  if (target.send) await target.send(size);
  else await sendFile(target, size);
}

/** In one request and in parts. */
async function warmUp(target: Target): Promise<void> {
  await inParallel(50, 5, () => send(target, 4096));
  await send(target, 100 * MIB);
}

const WORKLOADS: Workload[] = [
  {
    name: 'Ceph: 50 x 1 MiB, one after the other',
    bytes: 50 * MIB,
    hasMemory: true,
    warmUp,
    run: (target) => inParallel(50, 1, () => send(target, MIB)),
  },
  ...[100, 1024].map((mib) => ({
    name: `Ceph: ${mib === 1024 ? '1 GiB' : '100 MiB'} in one stream`,
    bytes: mib * MIB,
    hasMemory: true,
    warmUp,
    run: (target: Target) => send(target, mib * MIB),
  })),
  {
    name: 'Ceph: 64 x 16 MiB at once',
    bytes: 1024 * MIB,
    hasMemory: true,
    warmUp,
    run: (target) => inParallel(64, 64, () => send(target, 16 * MIB)),
  },
];

/** Runs the comparison. */
export async function benchBucket(folder: string): Promise<void> {
  if (CEPH_MISSING !== undefined) {
    process.stdout.write(`skipped: ${CEPH_MISSING}\n`);
    return;
  }
  const rclone = await findRclone(folder);
  for (const workload of WORKLOADS) {
    // A new Ceph for each workload: its disk holds about 16 GiB.
    await withRgw(async (rgw) => {
      const targets = [
        ...listServers(rgw),
        startLibStorage(rgw),
        ...(rclone ? [startRclone(rgw, rclone, folder)] : []),
      ];
      await compare([workload], { folder, targets, disk: true });
    });
  }
  await withRgw((rgw) => countRequests(rgw, folder));
}

async function withRgw(use: (rgw: RunningRgw) => Promise<void>): Promise<void> {
  const rgw = await startRgw();
  try {
    await use(rgw);
  } finally {
    await rgw.stop();
  }
}

/** The tus servers on the bucket. @param port - the gateway's, or that of a proxy in front of it. */
function listServers(rgw: RunningRgw, port = rgw.port): StartTarget[] {
  const env = bucketEnv(rgw, port);
  return [
    ...listBuilds({ STORE: 'ceph', ...env }),
    (folder) => startScript('@tus/server + S3Store', 'plain-s3-server.js', 'tus', folder, env),
  ];
}

function startLibStorage(rgw: RunningRgw): StartTarget {
  return () => startDirect('lib-storage, no server', 'lib-storage-client.js', bucketEnv(rgw, rgw.port));
}

/** Prepares rclone, where it is installed. It copies files, so one of each size is created in the folder. */
async function findRclone(folder: string): Promise<string | undefined> {
  const rclone = findOnPath('rclone');
  if (!rclone) return undefined;
  for (const size of [4096, MIB, 16 * MIB, 100 * MIB, 1024 * MIB]) {
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
    for (const start of listServers(rgw, proxy.port)) {
      const target = await start(folder);
      try {
        for (const size of COUNTED_MIB) {
          const before = proxy.calls().length;
          await send(target, size * MIB);
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
