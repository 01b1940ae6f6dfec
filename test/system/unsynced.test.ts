/** The catalog's log cannot be synced: what is not durable is not told, on any route, and the service ends. */
import { get, type IncomingMessage } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createUpload, patch, send, TUS } from '../harness/tus.ts';
import { expectBytes, listFiles, offsetOf, openPatch, until } from './support.ts';
import { CAN_TRACE, injectAt } from './trace.ts';

const kept = makeBytes(50_000, 81);
const half = makeBytes(40_000, 82);
const lost = makeBytes(60_000, 83);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** What the service's events have brought; they end with it. */
function listen(service: RunningService): () => string {
  let heard = '';
  const request = get(`${service.url}/api/events`, (answer: IncomingMessage) => {
    answer.setEncoding('utf8').on('data', (text: string) => (heard += text));
    answer.on('error', () => undefined);
  });
  request.on('error', () => undefined);
  onTestFinished(() => void request.destroy());
  return () => heard;
}

/** Asks again and again until the service has ended; the answers, as they came. */
async function askUntilTheEnd(
  service: RunningService,
  ask: () => Promise<{ status: number; body: string }>,
): Promise<{ status: number; body: string }[]> {
  const answers: { status: number; body: string }[] = [];
  const deadline = Date.now() + 20_000;
  while (isAlive(service.pid) && Date.now() < deadline) {
    const answer = await ask().catch(() => undefined);
    if (answer) answers.push(answer);
  }
  return answers;
}

// Skipped without strace and the right to trace.
test.skipIf(!CAN_TRACE)('one failed sync: nothing of what it was for is told, and the service ends', async () => {
  const service = await startService();
  onTestFinished(() => service.stop());
  const file = await createUpload(service.url, kept.length, { filename: 'kept.bin' });
  expect((await patch(file, 0, kept)).status).toBe(204);
  const unfinished = await createUpload(service.url, half.length);
  expect((await patch(unfinished, 0, half.subarray(0, 10_000))).status).toBe(204);
  const location = await createUpload(service.url, lost.length, { filename: 'lost.bin' });
  const heard = listen(service);

  // The sync takes two seconds and fails: an answer that names the file meanwhile is wrong.
  const wal = `${service.dataDir}/catalog.db-wal`;
  const trace = await injectAt(service.pid, 'fdatasync', 'error=EIO:delay_enter=2s:when=1', wal);
  onTestFinished(() => trace.stop());
  const last = openPatch(location, 0, lost.length);
  await last.write(lost);
  const digest = md5(lost);
  const routes = [
    '/api/files',
    '/file/query',
    `/file/meta?filehash=${digest}`,
    `/file/download?filehash=${digest}`,
    `/files/${digest}.bin`,
    `/check?md5=${digest}`,
    `/check?md5=${digest}&filename=mine.bin`,
  ];
  const asking = [
    ...routes.map((route) => async () => send('GET', service.url + route)),
    async () => send('HEAD', location, { headers: TUS }),
    async () => send('GET', location),
    async () => send('PATCH', `${service.url}/api/files/none`, { body: '{"name":"x"}' }),
  ];
  const told = (await Promise.all(asking.map((ask) => askUntilTheEnd(service, ask)))).flat();
  const lies = told.filter(
    ({ status, body }) => status < 300 && (body.includes('lost.bin') || body.includes(digest) || body.length > 50_000),
  );
  expect(lies.map(({ status, body }) => `${status} ${body.slice(0, 200)}`)).toEqual([]);
  expect(await last.answer).toMatchObject({ status: 503 });
  expect(heard()).not.toContain('published');
  expect(await service.kill('SIGKILL')).toBe(1);
  expect(service.output()).toMatch(/"level":60.*could not be synced/);

  await service.restart();
  expect((await listFiles(service)).map(({ name }) => name)).toContain('kept.bin');
  await expectBytes(file, kept);
  expect(await offsetOf(unfinished)).toBe(10_000);
});

test.skipIf(!CAN_TRACE)('a new upload is not told before it is durable', async () => {
  const service = await startService();
  onTestFinished(() => service.stop());
  await createUpload(service.url, 1);
  const wal = `${service.dataDir}/catalog.db-wal`;
  const trace = await injectAt(service.pid, 'fdatasync', 'error=EIO:when=1', wal);
  onTestFinished(() => trace.stop());
  const created = await askUntilTheEnd(service, () =>
    send('POST', `${service.url}/uploads`, { headers: { ...TUS, 'Upload-Length': '100' } }),
  );
  expect(created.map(({ status }) => status).filter((status) => status !== 503)).toEqual([]);
  await until('it has ended', () => !isAlive(service.pid));
  expect(await service.kill('SIGKILL')).toBe(1);
});
