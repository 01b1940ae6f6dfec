/**
 * Preloaded into a process, makes its disk one whose inodes are beyond what a double tells apart, as those of NTFS, SMB and
 * FUSE may be, and writes the path of each folder that is read to the file `?log=`.
 */
import { appendFileSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { createRequire } from 'node:module';

type Disk = Record<'lstat' | 'readdir', (path: string, options?: { bigint?: boolean }) => Promise<unknown>>;

const BEYOND = 2n ** 60n;
const log = new URL(import.meta.url).searchParams.get('log') ?? '';
const disk = createRequire(import.meta.url)('node:fs/promises') as Disk;
const { lstat, readdir } = disk;

disk.lstat = async (path, options) => {
  const { ino } = (await lstat(path, { bigint: true })) as BigIntStats;
  const stats = (await lstat(path, options)) as { ino: bigint | number };
  stats.ino = options?.bigint === true ? BEYOND + ino : Number(BEYOND + ino);
  return stats;
};

disk.readdir = (path, options) => {
  appendFileSync(log, `${path}\n`);
  return readdir(path, options);
};

syncBuiltinESMExports();
