/**
 * A catalog from before an upload's parts were put together, as a power cut or a restored copy leaves it: the object
 * that is whole is taken up, not deleted.
 */
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { BUCKETS, type SystemBucket } from '../support/buckets.ts';
import { makeBytes, md5 } from '../support/bytes.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { type RunningService, startService } from '../support/service.ts';
import { PART } from '../support/stores.ts';
import { createUpload, head, patch } from '../support/tus.ts';
import { expectBytes, idOf, listFiles, offsetOf, openPatch, until } from './support.ts';

const FIRST = PART + 2_000_000;
const SIZE = 2 * PART + 1_000_000;
/** A catalog and its log. */
const CATALOG = ['catalog.db', 'catalog.db-wal'];

for (const { name, missing } of BUCKETS) {
  if (missing !== undefined) console.warn(`${name} skipped: ${missing}`);
}

describe.each(BUCKETS)('in a bucket of $name', ({ missing, start }) => {
  describe.skipIf(missing !== undefined)('an upload whose parts were put together', () => {
    let bucket: SystemBucket;
    let proxy: FaultProxy;
    let service: RunningService;

    beforeAll(async () => {
      bucket = await start();
      proxy = await startFaultProxy({ toPort: bucket.port });
      service = await startService({ env: { ...bucket.env(proxy.port), INSTANT: 'off' } });
    });
    afterEach(() => proxy.clear());
    afterAll(async () => {
      await service.stop();
      await proxy.stop();
      await bucket.stop();
    });

    async function copyCatalog(from: string, to: string): Promise<void> {
      await mkdir(to, { recursive: true });
      for (const name of CATALOG) await copyFile(join(from, name), join(to, name));
    }

    /** Killed when the object is there and its answer is not; the catalog is then the one that told `FIRST`. */
    async function cut(location: string, bytes: Buffer): Promise<void> {
      const copy = join(service.dataDir, 'copy');
      expect((await patch(location, 0, bytes.subarray(0, FIRST))).status).toBe(204);
      await copyCatalog(service.dataDir, copy);
      proxy.place({ operation: 'CompleteMultipartUpload', fault: { kind: 'stall', at: 'answer' } });
      const sending = openPatch(location, FIRST, SIZE - FIRST);
      await sending.write(bytes.subarray(FIRST));
      await until('the object is there', async () => (await bucket.keys()).includes(idOf(location)), 60_000);
      await service.kill('SIGKILL');
      proxy.clear();
      await sending.answer;
      await copyCatalog(copy, service.dataDir);
    }

    test('is published from its object, which an older catalog does not know', async () => {
      const bytes = makeBytes(SIZE, 801);
      const location = await createUpload(service.url, SIZE, { filename: 'whole', md5: md5(bytes) });
      await cut(location, bytes);
      await service.restart();
      expect(await offsetOf(location)).toBe(SIZE);
      await expectBytes(location, bytes);
      expect((await listFiles(service)).filter(({ name }) => name === 'whole')).toHaveLength(1);
    });

    test('is found by the PATCH that finds its parts gone, when the bucket was away before', async () => {
      const bytes = makeBytes(SIZE, 802);
      const location = await createUpload(service.url, SIZE, { filename: 'found', md5: md5(bytes) });
      await cut(location, bytes);
      // A sweep would take it up at once.
      const away = proxy.place({ operation: 'HeadObject', times: Infinity, fault: { kind: 'reset' } });
      await service.restart();
      expect((await head(location)).headers['upload-offset']).toBe(String(FIRST));
      away.remove();
      const refused = await patch(location, FIRST, bytes.subarray(FIRST));
      expect(refused.status).toBe(503);
      expect(await offsetOf(location)).toBe(SIZE);
      await expectBytes(location, bytes);
    });
  });
});
