/**
 * A power cut: what the disk holds is what is left. The catalog lies on a file
 * system of its own in a disk image; a copy of the image has what the kernel has
 * written to the disk, and nothing of what it still keeps in memory.
 */
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { startCatalogProcess } from './catalog-process.ts';
import type { CatalogProcess } from './catalog-process.ts';
import { newUpload } from './fixtures.ts';

/** Mounting an image takes root and a kernel with loop devices. */
const CAN_MOUNT = (() => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  try {
    execFileSync('losetup', ['--find'], { stdio: 'ignore' });
    execFileSync('mkfs.ext4', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describe.skipIf(!CAN_MOUNT)('a power cut', () => {
  let folder: string;
  let child: CatalogProcess | undefined;
  let mounted: string[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemark-power-'));
    mounted = [];
  });

  afterEach(async () => {
    await child?.kill();
    for (const place of mounted) execFileSync('umount', [place]);
    await rm(folder, { recursive: true });
  });

  async function mount(image: string): Promise<string> {
    const place = `${image}.mounted`;
    await mkdir(place);
    execFileSync('mount', ['-o', 'loop', image, place]);
    mounted.push(place);
    return place;
  }

  // With few uploads the log was never checkpointed; with more, several times.
  for (const uploads of [1, 20, 1000]) {
    it(`leaves all of ${uploads} uploads once they are durable`, async () => {
      const disk = join(folder, 'disk');
      execFileSync('truncate', ['--size=64M', disk]);
      execFileSync('mkfs.ext4', ['-q', disk]);
      const file = join(await mount(disk), 'catalog.sqlite');
      const writer = (child = startCatalogProcess(file));
      await writer.opened;
      const ids = Array.from({ length: uploads }, (_, index) => `upload-${index}`);
      await Promise.all(ids.map((id) => writer.call('createUpload', newUpload({ id }))));
      await writer.call('durable');

      const afterCut = join(folder, 'after-cut');
      await copyFile(disk, afterCut);
      const catalog = await openSqliteCatalog({ file: join(await mount(afterCut), 'catalog.sqlite') });
      try {
        for (const id of ids) expect(await catalog.findUpload(id), id).toBeDefined();
      } finally {
        await catalog.close();
      }
    });
  }
});
