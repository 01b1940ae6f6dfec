/** Compares servers that store on the local disk, under the same load. */
import { compare, type Workload } from './compare.ts';
import { inParallel, sendFile, sendFileAtOnce } from './load.ts';
import { listTargets } from './targets.ts';

const MIB = 1024 * 1024;

const WORKLOADS: Workload[] = [
  {
    name: '1 GiB in one stream',
    bytes: 1024 * MIB,
    run: async (target) => {
      await sendFile(target, 1024 * MIB);
    },
  },
  {
    name: '64 x 16 MiB at once',
    bytes: 1024 * MIB,
    run: (target) => inParallel(64, 64, () => sendFile(target, 16 * MIB)),
  },
  {
    name: '2,000 x 10 KiB, 16 at once, POST and PATCH',
    bytes: 2000 * 10 * 1024,
    files: 2000,
    run: (target) => inParallel(2000, 16, () => sendFile(target, 10 * 1024)),
  },
  {
    name: '2,000 x 10 KiB, 16 at once, one request each',
    bytes: 2000 * 10 * 1024,
    files: 2000,
    run: (target) => inParallel(2000, 16, () => sendFileAtOnce(target, 10 * 1024)),
  },
];

/** Runs the comparison. */
export function benchSideBySide(folder: string): Promise<void> {
  return compare(WORKLOADS, {
    folder,
    targets: listTargets(),
    // Enough to warm up V8: the measurement is about a server that has been running for a while.
    warmUp: (target) => inParallel(4_000, 16, () => sendFile(target, 4096)),
  });
}
