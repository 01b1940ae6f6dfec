/** Compares servers that store on the local disk, under the same load. */
import { compare, type Workload } from './compare.ts';
import { inParallel, sendFile } from './load.ts';
import { describeSmallFilesClient, sendSmallFiles } from './small-files.ts';
import { listTargets } from './targets.ts';

const MIB = 1024 * 1024;
const SMALL = 10 * 1024;
/** Enough to warm up V8: the measurement is about a server that has been running for a while. */
const WARM_FILES = 4_000;

/** The load of many files of 10 KiB, each sent in one request, or in two. */
export function smallFiles(requests: 1 | 2, files = 4_000): Workload {
  return {
    name: `${files.toLocaleString('en')} x 10 KiB, 16 at once, ${requests === 1 ? 'one request each' : 'POST and PATCH'}`,
    bytes: files * SMALL,
    files,
    hasMemory: true,
    warmUp: (target) => sendSmallFiles(target, { files: WARM_FILES, sizeBytes: SMALL, requests }),
    run: (target) => sendSmallFiles(target, { files, sizeBytes: SMALL, requests }),
  };
}

const warmUp: Workload['warmUp'] = (target) => inParallel(WARM_FILES, 16, () => sendFile(target, 4096));

const WORKLOADS: Workload[] = [
  {
    name: '1 GiB in one stream',
    bytes: 1024 * MIB,
    hasMemory: true,
    warmUp,
    run: async (target) => {
      await sendFile(target, 1024 * MIB);
    },
  },
  {
    name: '64 x 16 MiB at once',
    bytes: 1024 * MIB,
    hasMemory: true,
    warmUp,
    run: (target) => inParallel(64, 64, () => sendFile(target, 16 * MIB)),
  },
  smallFiles(1),
  smallFiles(2),
];

/** Runs the comparison. */
export async function benchSideBySide(folder: string): Promise<void> {
  process.stdout.write(`${describeSmallFilesClient()}\n\n`);
  await compare(WORKLOADS, { folder, targets: listTargets() });
}
