/**
 * A catalog from before an upload's parts were put together, as a power cut or a restored copy leaves it: the object
 * that is whole is recovered, not deleted.
 */
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { describeOverFaultyBuckets } from '../harness/faulty-bucket.ts';
import { PART } from '../harness/part.ts';
import { createUpload, head, patch } from '../harness/tus.ts';
import { expectBytes, idOf, listFiles, offsetOf, openPatch, until } from './support.ts';

const FIRST = PART + 60_000;
const SIZE = 2 * PART + 100_000;
/** A catalog and its log. */
const CATALOG = ['catalog.db', 'catalog.db-wal'];

describeOverFaultyBuckets('an upload whose parts were put together', { service: 'shared' }, (ground) => {
  async function copyCatalog(from: string, to: string): Promise<void> {
    await mkdir(to, { recursive: true });
    for (const name of CATALOG) await copyFile(join(from, name), join(to, name));
  }

  /** Killed when the object is there and its answer is not; the catalog is then the one that told `FIRST`. */
  async function cut(location: string, bytes: Buffer): Promise<void> {
    const copy = join(ground.service.dataDir, 'copy');
    expect((await patch(location, 0, bytes.subarray(0, FIRST))).status).toBe(204);
    await copyCatalog(ground.service.dataDir, copy);
    ground.proxy.place({ operation: 'CompleteMultipartUpload', fault: { kind: 'stall', at: 'answer' } });
    const sending = openPatch(location, FIRST, SIZE - FIRST);
    await sending.write(bytes.subarray(FIRST));
    await until(
      'the object is there',
      async () => (await ground.bucket.keys()).some((key) => key.startsWith(idOf(location))),
      60_000,
    );
    await ground.service.kill('SIGKILL');
    ground.proxy.clear();
    await sending.answer;
    await copyCatalog(copy, ground.service.dataDir);
  }

  test('is published from its object, which an older catalog does not know', async () => {
    const bytes = makeBytes(SIZE, 801);
    const location = await createUpload(ground.service.url, SIZE, { filename: 'whole', md5: md5(bytes) });
    await cut(location, bytes);
    await ground.service.restart();
    expect(await offsetOf(location)).toBe(SIZE);
    await expectBytes(location, bytes);
    expect((await listFiles(ground.service)).filter(({ name }) => name === 'whole')).toHaveLength(1);
  });

  test('is found by the PATCH that finds its parts gone, when the bucket was away before', async () => {
    const bytes = makeBytes(SIZE, 802);
    const location = await createUpload(ground.service.url, SIZE, { filename: 'found', md5: md5(bytes) });
    await cut(location, bytes);
    // A job would recover it at once.
    const away = ground.proxy.place({ operation: 'HeadObject', times: Infinity, fault: { kind: 'reset' } });
    await ground.service.restart();
    expect((await head(location)).headers['upload-offset']).toBe(String(FIRST));
    away.remove();
    const refused = await patch(location, FIRST, bytes.subarray(FIRST));
    expect(refused.status).toBe(503);
    expect(await offsetOf(location)).toBe(SIZE);
    await expectBytes(location, bytes);
  });
});
