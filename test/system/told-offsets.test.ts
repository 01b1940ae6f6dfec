/** An offset that is told is durably stored: with a disk that is slow, or fails, at the sync that makes it so. */
import { join } from 'node:path';
import { readdir, readFile, stat } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { startService } from '../harness/service.ts';
import { createUpload, head, patch } from '../harness/tus.ts';
import { expectBytes, offsetOf, openPatch, unfinishedPath, until } from './support.ts';
import { CAN_TRACE, injectAt } from './trace.ts';

const bytes = makeBytes(300_000, 901);

// Skipped without strace and the right to trace: apt-get install strace.
test.skipIf(!CAN_TRACE)('bytes that failed to be synced are never told, and sent again', async () => {
  const service = await startService();
  onTestFinished(() => service.stop());
  const location = await createUpload(service.url, bytes.length);
  expect((await patch(location, 0, bytes.subarray(0, 1000))).status).toBe(204);
  const path = unfinishedPath(service, location);
  // The kernel tells of lost writes once; the next sync of the same file succeeds.
  const trace = await injectAt(service.pid, 'fdatasync', 'error=EIO:when=1', path);
  expect((await patch(location, 1000, bytes.subarray(1000, 200_000))).status).toBe(503);
  expect((await stat(path)).size).toBe(1000);
  expect(await offsetOf(location)).toBe(1000);
  await trace.stop();
  expect((await patch(location, 1000, bytes.subarray(1000))).status).toBe(204);
  await expectBytes(location, bytes);
});

test.skipIf(!CAN_TRACE)('HEAD tells what was durable when it looked, not what was committed since', async () => {
  const service = await startService();
  onTestFinished(() => service.stop());
  const location = await createUpload(service.url, bytes.length);
  expect((await patch(location, 0, bytes.subarray(0, 1000))).status).toBe(204);
  const log = join(service.dataDir, 'catalog.db-wal');
  const trace = await injectAt(service.pid, 'fdatasync', 'delay_enter=6s:when=1', log);
  // Something for the look to make durable; its own answer waits for that, too.
  const creating = createUpload(service.url, 10);
  let seen = 0;
  await until('the disk is waited for', async () => (seen = (await hasStoppedThread(service.pid)) ? seen + 1 : 0) > 20);
  const looking = head(location);
  // It has looked, and waits for the disk: what comes from now on is not waited for.
  for (let later = 0; later < 10; later++) await fetch(`${service.url}/healthz`);
  const sender = openPatch(location, 1000, bytes.length - 1000);
  await sender.write(bytes.subarray(1000, 200_000));
  sender.destroy();
  expect((await looking).headers['upload-offset']).toBe('1000');
  await creating;
  await trace.stop();
  await until('the rest is told', async () => (await offsetOf(location)) === 200_000);
});

test.skipIf(!CAN_TRACE)('what is committed while the disk is slow can be resumed after a crash', async () => {
  const service = await startService();
  onTestFinished(() => service.stop());
  const size = 8 * 1024 * 1024;
  for (let round = 0; round < 3; round++) {
    const content = makeBytes(size, 910 + round);
    const location = await createUpload(service.url, size, { md5: md5(content) });
    expect((await patch(location, 0, content.subarray(0, 1000))).status).toBe(204);
    const path = unfinishedPath(service, location);
    // Longer than the pause after which a commit may be made, so that one falls due while bytes are being written.
    const trace = await injectAt(service.pid, 'pwritev,pwrite64,writev', 'delay_enter=70ms', path);
    const sender = openPatch(location, 1000, size - 1000);
    let sent = 1000;
    while ((await offsetOf(location)) === 1000 && sent < size - 20_000) {
      await sender.write(content.subarray(sent, sent + 20_000));
      sent += 20_000;
    }
    await service.kill('SIGKILL');
    await trace.stop();
    await service.restart();
    const offset = await offsetOf(location);
    expect((await patch(location, offset, content.subarray(offset))).status).toBe(204);
    await expectBytes(location, content);
  }
});

/** Whether a thread is held by its tracer (proc(5): state `t`). */
async function hasStoppedThread(pid: number): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`);
  const stats = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8').catch(() => '')),
  );
  return stats.some((text) => text.slice(text.lastIndexOf(')') + 2).startsWith('t'));
}
