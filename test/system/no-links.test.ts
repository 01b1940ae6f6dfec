/** A file system without hard links (exFAT, some network drives): publication renames instead. */
import { readdir } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { openLocalStore } from '../../stores/local/store.ts';
import type { StoredUpload } from '../../stores/store.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { COLLIDING } from '../harness/collision.ts';
import { startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, patch } from '../harness/tus.ts';
import { expectBytes, storedNames } from './support.ts';
import { CAN_TRACE, injectAt } from './trace.ts';

// Skipped without strace and the right to trace: mount an exFAT disk and set DATA_DIR to try it by hand.
test.skipIf(!CAN_TRACE)('publishes, folds and keeps apart without links', async () => {
  const service = await startService();
  onTestFinished(() => service.stop());
  const trace = await injectAt(service.pid, 'link', 'error=EPERM');
  const bytes = makeBytes(300_000, 66);
  const published: [location: string, bytes: Buffer][] = [];
  for (const [filename, content] of [
    ['a.bin', bytes],
    ['b.bin', bytes],
    ['c.bin', COLLIDING[0]],
    ['d.bin', COLLIDING[1]],
  ] as const) {
    const location = await createUpload(service.url, content.length, { filename });
    expect((await patch(location, 0, content)).status).toBe(204);
    published.push([location, content]);
  }
  await trace.stop();
  expect(await storedNames(service)).toHaveLength(3);
  await service.restart();
  for (const [location, content] of published) await expectBytes(location, content);
});

test.skipIf(!CAN_TRACE)('the last commit is durable before an upload loses its own name', async () => {
  const folder = await makeTempFolder();
  const seen: string[][] = [];
  const durable = async (): Promise<void> => void seen.push(await readdir(folder));
  const store = await openLocalStore({ folder, durable });
  const digests = createDigestPool(['md5']);
  onTestFinished(() => digests.close());
  const bytes = makeBytes(1000, 67);
  let upload: StoredUpload = {
    id: 'an-upload',
    size: bytes.length,
    offset: 0,
    snapshot: null,
    storeState: null,
    filename: null,
    filetype: null,
  };
  await store.writeUpload(Readable.from([bytes]), upload, {
    digests,
    signal: new AbortController().signal,
    maxBytes: bytes.length,
    commit: async (commit) => void (upload = { ...upload, ...commit }),
  });
  const trace = await injectAt(process.pid, 'link', 'error=EPERM');
  try {
    await store.finalize(upload, md5(bytes));
  } finally {
    await trace.stop();
  }
  expect(seen).toEqual([['tmp_an-upload']]);
  expect(await readdir(folder)).toEqual([md5(bytes)]);
});
