/** Disks that lose power and disks that are full, each mounted for its test. */
import { execFileSync } from 'node:child_process';
import { copyFile, type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { startCatalogProcess } from './catalog-process.ts';
import type { CatalogProcess } from './catalog-process.ts';
import { addPublished, newContent, newUpload } from './fixtures.ts';
import { isHere } from '../harness/needs.ts';

/** Mounting an image takes root and a kernel with loop devices. */
const CAN_MOUNT = isHere(
  (() => {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
    try {
      execFileSync('losetup', ['--find'], { stdio: 'ignore' });
      for (const make of ['mkfs.ext4', 'mkfs.btrfs']) execFileSync(make, ['-V'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  })(),
  'disks in a file need Linux, root, losetup, mkfs.ext4 and mkfs.btrfs (Debian: apt-get install mount e2fsprogs btrfs-progs)',
);

describe.skipIf(!CAN_MOUNT)('an SQLite catalog', () => {
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

  /** Mounts what `args` of mount(8) say; where. */
  async function mount(...args: string[]): Promise<string> {
    const place = await mkdtemp(join(folder, 'mounted-'));
    execFileSync('mount', [...args, place]);
    mounted.push(place);
    return place;
  }

  // The catalog lies on a file system of its own in a disk image. A copy of the image
  // has what the kernel has written to the disk, and nothing of what it still keeps in memory.
  // With few uploads the log was never checkpointed; with more, several times.
  for (const uploads of [1, 20, 1000]) {
    it(`has all of ${uploads} uploads after a power cut, once they are durable`, async () => {
      const disk = join(folder, 'disk');
      execFileSync('truncate', ['--size=64M', disk]);
      execFileSync('mkfs.ext4', ['-q', disk]);
      const file = join(await mount('-o', 'loop', disk), 'catalog.sqlite');
      const writer = (child = startCatalogProcess(file));
      await writer.opened;
      const ids = Array.from({ length: uploads }, (_, index) => `upload-${index}`);
      await Promise.all(ids.map((id) => writer.call('createUpload', newUpload({ id }))));
      await writer.call('durable');

      const afterCut = join(folder, 'after-cut');
      await copyFile(disk, afterCut);
      const catalog = await openSqliteCatalog({
        file: join(await mount('-o', 'loop', afterCut), 'catalog.sqlite'),
      });
      try {
        for (const id of ids) expect(await catalog.findUpload(id), id).toBeDefined();
      } finally {
        await catalog.close();
      }
    });
  }

  // On Btrfs each change of a page needs room elsewhere: also one of memory that processes share over a file.
  it('refuses writes on a full disk of Btrfs, and its process lives', async () => {
    const disk = join(folder, 'disk');
    execFileSync('truncate', ['--size=120M', disk]);
    execFileSync('mkfs.btrfs', ['-q', '--mixed', disk]);
    const place = await mount('-o', 'loop', disk);
    const writer = (child = startCatalogProcess(join(place, 'catalog.sqlite')));
    await writer.opened;
    await writer.call('createUpload', newUpload({ id: 'before' }));
    const refusals: unknown[] = [];
    for (let round = 0; round < 5; round++) {
      // What is written to the disk has to be stored anew when it changes.
      execFileSync('sync', ['-f', place]);
      await fill(join(place, 'filler'));
      await writer.call('createUpload', newUpload()).catch((error: unknown) => refusals.push(error));
    }
    expect(refusals.length).toBeGreaterThan(0);
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'full' });
    expect(await writer.call('findUpload', 'before')).toBeDefined();
    await writer.kill();
  });

  it('changes nothing on a full disk, and works again once there is room', async () => {
    const place = await mount('-t', 'tmpfs', '-o', 'size=4M', 'tidemark-test');
    const catalog = await openSqliteCatalog({ file: join(place, 'catalog.sqlite') });
    try {
      const { id } = await addPublished(catalog, newContent('c'), { name: 'before' });
      const filler = join(place, 'filler');
      await fill(filler);
      // What its log has room for still goes.
      let name = 'before';
      for (let renames = 0; renames < 2000; renames++) {
        const next = `${name.split('-', 1)[0]}-${renames}`;
        if (!(await catalog.renameFile(id, 'ann', next, null).catch(() => undefined))) break;
        name = next;
      }

      for (let attempt = 0; attempt < 2; attempt++) {
        await expect(catalog.renameFile(id, 'ann', 'after', null)).rejects.toMatchObject({
          code: 'full',
          cause: { code: 'SQLITE_FULL' },
        });
        expect(await catalog.findFile(id, 'ann')).toMatchObject({ name });
      }
      await rm(filler);
      expect(await catalog.renameFile(id, 'ann', 'after', null)).toMatchObject({ name: 'after' });
      await catalog.durable();
    } finally {
      await catalog.close();
    }
  });
});

/** Writes to `file` until its disk is full. */
async function fill(file: string): Promise<void> {
  const handle = await open(file, 'a');
  try {
    for (const bytes of [1024 * 1024, 4096]) {
      const written = await writeUntilFull(handle, Buffer.alloc(bytes)).catch((error: unknown) => error);
      expect(written).toMatchObject({ code: 'ENOSPC' });
    }
  } finally {
    await handle.close();
  }
}

async function writeUntilFull(handle: FileHandle, bytes: Buffer): Promise<never> {
  for (;;) await handle.write(bytes);
}
