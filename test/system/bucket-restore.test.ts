/** Backup and restore with a bucket, row by row as docs/operations.md says: an older catalog on the bucket of now. */
import Database from 'better-sqlite3';
import { copyFile, cp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { putFile, type Stored } from '../http/support.ts';
import { BUCKETS, type SystemBucket } from '../harness/buckets.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { PART } from '../harness/part.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, head, patch, send, TUS } from '../harness/tus.ts';
import { expectBytes, idOf, listFiles, until } from './support.ts';

for (const { name, missing } of BUCKETS) {
  if (missing !== undefined) console.warn(`${name} skipped: ${missing}`);
}

describe.each(BUCKETS)('in a bucket of $name', ({ missing, start }) => {
  describe.skipIf(missing !== undefined)('an older catalog', () => {
    let bucket: SystemBucket;
    let service: RunningService;
    let copy: string;
    const [kept, deleted, later] = [makeBytes(1_000, 1), makeBytes(2_000, 2), makeBytes(3_000, 3)];
    /** Of two parts, of which one is there. */
    const large = makeBytes(2 * PART, 4);
    const half = PART + 50_000;
    /** A file that is deleted after the copy is made, and one that is sent then. */
    let gone: Stored;
    let sentLater: Stored;
    /** An upload that goes on after the copy is made, and one that is ended. */
    let goingOn: string;
    let ended: string;

    beforeAll(async () => {
      bucket = await start();
      service = await startService({ env: bucket.env() });
      copy = join(service.dataDir, 'copy');
      await putFile(service.url, kept, { filename: 'kept' });
      gone = await putFile(service.url, deleted, { filename: 'deleted' });
      goingOn = await beginUpload('going on');
      ended = await beginUpload('ended');
      await backUp();
      await end(`${service.url}/api/files/${gone.fileId}`, gone.upload);
      sentLater = await putFile(service.url, later, { filename: 'later' });
      await append(goingOn, half, half + 50_000);
      await end(ended, ended);
      await restore();
    });
    afterAll(async () => {
      await service.stop();
      await bucket.stop();
    });

    async function append(location: string, from: number, to: number): Promise<void> {
      expect((await patch(location, from, large.subarray(from, to))).status).toBe(204);
    }

    async function beginUpload(filename: string): Promise<string> {
      const location = await createUpload(service.url, large.length, { filename });
      await append(location, 0, half);
      return location;
    }

    /** Deletes a file or an upload. @param location - of the upload that brought the bytes. */
    async function end(address: string, location: string): Promise<void> {
      expect((await send('DELETE', address, { headers: TUS })).status).toBe(204);
      const isLeft = async (): Promise<boolean> => (await bucket.keys()).some((key) => key.includes(idOf(location)));
      await until('its bytes are gone', async () => !(await isLeft()));
    }

    /** Stops the service, copies the catalog, and starts it again. */
    async function backUp(): Promise<void> {
      expect(await service.kill('SIGTERM')).toBe(0);
      expect(await readdir(service.dataDir)).not.toContain('catalog.db-wal');
      await copyFile(join(service.dataDir, 'catalog.db'), copy);
      await service.restart();
    }

    /** Stops the service, puts the catalog back without any log, and starts it. */
    async function restore(): Promise<void> {
      await service.kill('SIGKILL');
      await rm(join(service.dataDir, 'catalog.db-wal'));
      await copyFile(copy, join(service.dataDir, 'catalog.db'));
      await service.restart();
    }

    test('knows the files of then: what was deleted can be sent again, what came later too', async () => {
      expect((await listFiles(service)).map(({ name }) => name).toSorted()).toEqual(['deleted', 'kept']);
      await expectBytes((await listFiles(service)).find(({ name }) => name === 'kept')?.url ?? '', kept);
      expect((await send('GET', gone.url)).code).toBe('content_damaged');
      expect((await send('GET', `${service.url}/check?md5=${md5(deleted)}`)).body).toContain('notfound');
      await putFile(service.url, deleted, { filename: 'sent again' });
      await expectBytes(gone.url, deleted);

      expect((await head(sentLater.upload)).status).toBe(404);
      await expectBytes((await putFile(service.url, later, { filename: 'later' })).url, later);
      // The content from before the restore has no file any more, and stays.
      expect((await bucket.keys()).some((key) => key.startsWith(idOf(sentLater.upload)))).toBe(true);
    });

    test('resumes an upload from the offset of then, or ends it where its parts are gone', async () => {
      expect((await head(goingOn)).headers['upload-offset']).toBe(String(half));
      await append(goingOn, half, large.length);
      await expectBytes(goingOn, large);
      const refused = await patch(ended, half, large.subarray(half));
      expect([refused.status, refused.code]).toEqual([410, 'upload_expired']);
    });
  });
});

test('a copy that SQLite makes while the service runs, and the files that are copied after it, are a backup', async () => {
  const service = await startService();
  onTestFinished(() => service.stop());
  const [kept, later] = [makeBytes(1_000, 5), makeBytes(2_000, 6)];
  await putFile(service.url, kept, { filename: 'kept' });
  const half = await createUpload(service.url, later.length, { filename: 'half' });
  expect((await patch(half, 0, later.subarray(0, 500))).status).toBe(204);
  const backup = await makeTempFolder();
  const catalog = new Database(join(service.dataDir, 'catalog.db'), { readonly: true });
  catalog.exec(`VACUUM INTO '${join(backup, 'catalog.db')}'`);
  catalog.close();
  await putFile(service.url, later, { filename: 'later' });
  expect((await patch(half, 500, later.subarray(500, 700))).status).toBe(204);
  await cp(join(service.dataDir, 'files'), join(backup, 'files'), { recursive: true });

  await service.stop();
  const restored = await startService({ dataDir: backup });
  onTestFinished(() => restored.stop());
  expect((await listFiles(restored)).map(({ name }) => name)).toEqual(['kept']);
  await expectBytes((await listFiles(restored))[0]?.url ?? '', kept);
  const resumed = `${restored.url}/uploads/${idOf(half)}`;
  const offset = Number((await head(resumed)).headers['upload-offset']);
  expect(offset).toBeGreaterThanOrEqual(500);
  expect((await patch(resumed, offset, later.subarray(offset))).status).toBe(204);
  await expectBytes(resumed, later);
});
