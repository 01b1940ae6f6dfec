/** Compares servers that store on the local disk, under the same load. */
import { type BigFiles, describeBigFilesClient, sendBigFiles } from './big-files.ts';
import { compare, type Workload } from './compare.ts';
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

/** The load of files that are sent at once; files of 16 MiB warm the server up. */
function bigFiles(folder: string, name: string, load: BigFiles): Workload {
  return {
    name,
    bytes: load.files * load.sizeBytes,
    hasMemory: true,
    warmUp: async (target) => {
      await sendSmallFiles(target, { files: WARM_FILES / 4, sizeBytes: SMALL, requests: 1 });
      await sendBigFiles(folder, target, { files: 16, sizeBytes: 16 * MIB, atOnce: true }, 'warm-up');
    },
    run: (target) => sendBigFiles(folder, target, load),
  };
}

/** The loads of big files. @param folder - for what is sent. */
export function listBigFiles(folder: string): { stream: Workload; crowd: Workload } {
  return {
    stream: bigFiles(folder, '1 GiB in one stream', { files: 1, sizeBytes: 1024 * MIB, atOnce: false }),
    crowd: bigFiles(folder, '64 x 16 MiB at once', { files: 64, sizeBytes: 16 * MIB, atOnce: true }),
  };
}

/** Runs the comparison. */
export async function benchSideBySide(folder: string): Promise<void> {
  process.stdout.write(`${describeSmallFilesClient()}; ${describeBigFilesClient()}\n\n`);
  const { stream, crowd } = listBigFiles(folder);
  await compare([stream, crowd, smallFiles(1), smallFiles(2)], { folder, targets: listTargets() });
}
