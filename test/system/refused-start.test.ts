/** Folders and catalogs a service cannot work with: one sentence that says why, exit code 78. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { CAN_MOUNT, mountSmallDisk } from './mounts.ts';
import { refusal } from './refused-start-support.ts';

describe('a service that cannot work with what it is given', () => {
  test('DATA_DIR is a file, or below one', async () => {
    const path = join(await makeTempFolder(), 'file');
    await writeFile(path, '');
    expect(await refusal(path)).toContain(`the folder ${path} cannot be used: it is a file`);
    expect(await refusal(join(path, 'data'))).toContain('a part of its path is a file');
  });

  test('the folder of the files is a file', async () => {
    const folder = await makeTempFolder();
    await writeFile(join(folder, 'files'), '');
    expect(await refusal(folder)).toContain(`the folder ${join(folder, 'files')} cannot be used`);
  });

  test('the catalog is a folder', async () => {
    const folder = await makeTempFolder();
    await mkdir(join(folder, 'catalog.db'));
    expect(await refusal(folder)).toContain(
      `the catalog ${join(folder, 'catalog.db')} cannot be opened: it is a folder`,
    );
  });

  test('the catalog is something else', async () => {
    const folder = await makeTempFolder();
    await writeFile(join(folder, 'catalog.db'), 'no database at all '.repeat(500));
    expect(await refusal(folder)).toContain('is not an SQLite database');
  });

  test('the catalog is in use by another service, which is not disturbed', async () => {
    const folder = await makeTempFolder();
    const first = await startService({ dataDir: folder });
    onTestFinished(() => first.stop());
    expect(await refusal(folder)).toContain('is in use by another service');
    expect((await fetch(`${first.url}/readyz`)).status).toBe(200);
  });

  // Skipped without the right to mount: run the tests as root on Linux.
  test.skipIf(!CAN_MOUNT)('DATA_DIR is read-only, new or used before', async () => {
    const disk = mountSmallDisk('6M');
    const used = join(disk.folder, 'used');
    await (await startService({ dataDir: used })).stop();
    await mkdir(join(disk.folder, 'empty'));
    disk.remount('ro');
    expect(await refusal(used)).toMatch(/is not writable|read-only/);
    expect(await refusal(join(disk.folder, 'empty'))).toMatch(/is not writable|read-only/);
    expect(await refusal(join(disk.folder, 'new'))).toMatch(
      /new cannot be used: .*file system (?:is|may be) read-only/,
    );
    // The catalog is elsewhere, the files cannot be written.
    const elsewhere = join(await makeTempFolder(), 'catalog.db');
    await copyFile(join(used, 'catalog.db'), elsewhere);
    await copyFile(join(used, 'catalog.db-wal'), `${elsewhere}-wal`);
    expect(await refusal(used, { DATABASE_URL: `sqlite:${elsewhere}` })).toContain(
      `the folder ${join(used, 'files')} cannot be used`,
    );
  });
});
