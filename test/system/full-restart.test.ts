/** A service that is started on a full disk: calls that free room succeed, and uploads resume. */
import { rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Database } from '../../server/catalog/sqlite/database.ts';
import { readBelonging } from '../../server/catalog/sqlite/inspect.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createUpload, encodeMetadata, head, patch, send, TUS } from '../harness/tus.ts';
import { CAN_MOUNT, mountSmallDisk, type SmallDisk } from './mounts.ts';
import { expectBytes, idOf, listFiles, storedNames, until } from './support.ts';

const MIB = 1024 * 1024;

async function start(options: Parameters<typeof startService>[0]): Promise<RunningService> {
  const service = await startService(options);
  onTestFinished(() => service.stop());
  return service;
}

/** Fills the disk while the service is down, and starts it again. */
async function restartFull(service: RunningService, disk: SmallDisk, signal: NodeJS.Signals): Promise<void> {
  await service.kill(signal);
  await disk.fill();
  // One page stays: the store writes a few bytes and removes them to see whether its folder can be used.
  const filler = join(disk.folder, 'filler');
  await truncate(filler, (await stat(filler)).size - 4096);
  await service.restart();
  await disk.fill();
  // The log that a killed service has left is used anew, and may have room for some rows: these are large ones.
  const metadata = encodeMetadata({ comment: 'x'.repeat(5_500) });
  for (let begun = 0; begun < 500; begun++) {
    const answer = await send('POST', `${service.url}/uploads`, {
      headers: { ...TUS, 'Upload-Length': '10', 'Upload-Metadata': metadata },
    });
    if (answer.status === 201) continue;
    expect(answer).toMatchObject({ status: 507, code: 'store_full' });
    return;
  }
  throw new Error('nothing was refused');
}

async function expectUploads(service: RunningService, size: number): Promise<void> {
  const bytes = makeBytes(size, 83);
  const location = await createUpload(service.url, bytes.length, { filename: 'next' });
  expect((await patch(location, 0, bytes)).status).toBe(204);
  await expectBytes(location, bytes);
}

// Skipped without the right to mount: run the tests as root on Linux.
describe.skipIf(!CAN_MOUNT)('started on a full disk', () => {
  // A killed service leaves a log that has yet to go into the catalog, and bytes past the last commit.
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    test(`after ${signal}: DELETE of an unfinished upload makes room`, async () => {
      const disk = mountSmallDisk('12M');
      const service = await start({ dataDir: disk.folder });
      const location = await createUpload(service.url, 8 * MIB);
      expect((await patch(location, 0, makeBytes(6 * MIB, 81))).status).toBe(204);
      await restartFull(service, disk, signal);

      expect((await send('DELETE', location, { headers: TUS })).status).toBe(204);
      expect(await storedNames(service)).toEqual([]);
      expect((await head(location)).status).toBe(410);
      await expectUploads(service, 5 * MIB);
    });

    test(`after ${signal}: DELETE of a file makes room`, async () => {
      const disk = mountSmallDisk('12M');
      const service = await start({ dataDir: disk.folder });
      const bytes = makeBytes(6 * MIB, 82);
      const location = await createUpload(service.url, bytes.length, { filename: 'file', md5: md5(bytes) });
      expect((await patch(location, 0, bytes)).status).toBe(204);
      await restartFull(service, disk, signal);

      const [file] = await listFiles(service);
      expect((await send('DELETE', `${service.url}/api/files/${file?.id}`)).status).toBe(204);
      expect(await storedNames(service)).toEqual([]);
      await expectUploads(service, 5 * MIB);
    });

    test(`after ${signal}: a folder that was never marked`, async () => {
      const disk = mountSmallDisk('12M');
      const service = await start({ dataDir: disk.folder });
      await service.kill(signal);
      // As a version without marks has left it.
      const database = new Database(join(disk.folder, 'catalog.db'));
      database.exec("DELETE FROM meta WHERE key IN ('place', 'log')");
      database.close();
      await rm(join(disk.folder, 'files', '.tidemark-id'));
      await disk.fill();
      // There is room for the mark, and not for what can wait.
      const filler = join(disk.folder, 'filler');
      await truncate(filler, (await stat(filler)).size - 16_384);
      await service.restart();
      await disk.makeRoom();
      await service.restart();
      await service.kill('SIGTERM');
      const { place } = readBelonging(join(disk.folder, 'catalog.db')) ?? {};
      expect(place).toBe(join(disk.folder, 'files'));
    });

    test(`after ${signal}: expiry makes room`, async () => {
      const disk = mountSmallDisk('12M');
      const service = await start({ dataDir: disk.folder, env: { UPLOAD_TTL: '2s' } });
      const location = await createUpload(service.url, 8 * MIB);
      const last = await patch(location, 0, makeBytes(6 * MIB, 84));
      expect(last.status).toBe(204);
      await service.kill(signal);
      await disk.fill();
      const filler = join(disk.folder, 'filler');
      await truncate(filler, (await stat(filler)).size - 4096);
      await wait(Math.max(0, Date.parse(String(last.headers['upload-expires'])) + 1001 - Date.now()));
      await service.restart();

      await until('its bytes are gone', async () => !(await storedNames(service)).includes(`tmp_${idOf(location)}`));
      expect((await head(location)).status).toBe(410);
      await expectUploads(service, 5 * MIB);
    });
  }
});
