/** Small disks of their own, for tests that fill them or make them read-only. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { isHere } from '../harness/needs.ts';

/** Mounting takes root (CAP_SYS_ADMIN) and Linux. */
export const CAN_MOUNT = isHere(
  (() => {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
    const place = mkdtempSync(join(tmpdir(), 'tidemark-mount-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', 'tidemark-test', place], { stdio: 'ignore' });
      execFileSync('umount', [place]);
      return true;
    } catch {
      return false;
    } finally {
      rmSync(place, { recursive: true });
    }
  })(),
  'small disks need Linux and the right to mount (run as root, in a container with --cap-add SYS_ADMIN)',
);

export interface SmallDisk {
  readonly folder: string;
  /** Takes all room that is left; from then on not a byte fits. */
  fill(): Promise<void>;
  /** Gives back the room that `fill` took. */
  makeRoom(): Promise<void>;
  /** Options of mount(8): `ro`, `size=40M`. */
  remount(options: string): void;
}

/** Mounts a disk in memory until the running test has finished. */
export function mountSmallDisk(size: string): SmallDisk {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-mount-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tidemark-test', folder]);
  onTestFinished(() => {
    execFileSync('umount', ['--lazy', folder]);
    rmSync(folder, { recursive: true });
  });
  const filler = join(folder, 'filler');
  return {
    folder,
    fill: async () => {
      const file = await open(filler, 'a');
      try {
        // What is left of the disk is less than the last of them, of which as much is written as fits.
        for (;;) await file.write(Buffer.alloc(64 * 4096));
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
      } finally {
        await file.close();
      }
    },
    makeRoom: () => rm(filler),
    remount: (options) => {
      execFileSync('mount', ['-o', `remount,${options}`, folder]);
    },
  };
}
