/** A file system without hard links (exFAT, some network drives): publication renames instead. */
import { expect, onTestFinished, test } from 'vitest';
import { makeBytes } from '../support/bytes.ts';
import { COLLIDING } from '../support/collision.ts';
import { startService } from '../support/service.ts';
import { createUpload, patch } from '../support/tus.ts';
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
