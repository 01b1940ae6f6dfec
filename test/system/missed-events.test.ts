/**
 * What a listener has missed while the service was gone: all that happened, each once, and nothing else. `TIDEMARK_ROUNDS=200` kills the
 * service so often in the middle of many uploads.
 */
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../server/config/parse.ts';
import { startService as startHere } from '../../server/service.ts';
import { cursorNow, eventsIn, type HeardEvent, listen } from '../http/event-stream.ts';
import { json, putFile } from '../http/support.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { send } from '../harness/tus.ts';
import { createVirtualSurroundings } from '../harness/virtual-surroundings.ts';
import { CAN_TRACE, injectAt } from './trace.ts';

const JSON_TYPE = { 'Content-Type': 'application/json' };
const DAY_MS = 24 * 3_600_000;
/** Others of this name get a number. */
const LAST = 'the last.txt';
/** How often the service is killed in the middle of many uploads. */
const ROUNDS = Number(process.env['TIDEMARK_ROUNDS'] ?? 3);
let lastSeed = 31_900;

function isLast(name: string): boolean {
  return name.startsWith('the last');
}

async function start(): Promise<RunningService> {
  const service = await startService();
  onTestFinished(() => service.stop());
  return service;
}

/** The names of all files but the last. */
async function namesOf(service: RunningService): Promise<string[]> {
  const page = json<{ files: { name: string }[] }>(await send('GET', `${service.url}/api/files?limit=1000`));
  return page.files
    .map(({ name }) => name)
    .filter((name) => !isLast(name))
    .toSorted();
}

/** The names in events, but that of the last. */
function namesIn(told: readonly HeardEvent[]): string[] {
  return told
    .flatMap(({ data }) => data.name ?? [])
    .filter((name) => !isLast(name))
    .toSorted();
}

/** What happened after a cursor, up to an upload that is sent now. */
async function missedSince(service: RunningService, cursor: string): Promise<HeardEvent[]> {
  const stream = await listen(service, { 'Last-Event-ID': cursor });
  // Bytes of its own: equal ones of the same name are the file from before, of which nothing is told.
  const { fileId } = await putFile(service.url, makeBytes(500, lastSeed++), { filename: LAST });
  await stream.until(new RegExp(`data: {"id":"${fileId}"`));
  stream.response.destroy();
  const told = eventsIn(stream.text());
  // After it may come what the work after a start has published.
  return told.slice(
    0,
    told.findIndex(({ data }) => data.id === fileId),
  );
}

test('what was published, renamed and deleted before a kill is told after it, by ids from before', async () => {
  const service = await start();
  const cursor = await cursorNow(service);
  const bytes = makeBytes(2_000, 31_001);
  const { fileId } = await putFile(service.url, bytes, { filename: 'ebb.txt' });
  const instant = `${service.url}/check?md5=${md5(bytes)}&filename=flood.txt`;
  for (let time = 0; time < 2; time++) expect((await send('GET', instant)).status).toBe(200);
  const path = `${service.url}/api/files/${fileId}`;
  await send('PATCH', path, { headers: JSON_TYPE, body: '{"name": "neap.txt"}' });
  await send('DELETE', path);
  const expected = ['published ebb.txt', 'published flood.txt', 'renamed neap.txt', 'deleted undefined'];
  await service.restart();
  const told = await missedSince(service, cursor);
  expect(told.map(({ kind, data }) => `${kind} ${data.name}`)).toEqual(expected);
  expect(told.map(({ data }) => data.id === fileId)).toEqual([true, false, true, true]);
  await service.restart();
  // From any of them.
  const stream = await listen(service, { 'Last-Event-ID': told[1]?.id ?? '' });
  await stream.until(/the last\.txt/);
  expect(eventsIn(stream.text()).map(({ kind }) => kind)).toEqual(['renamed', 'deleted', 'published']);
  // Nothing was missed: nothing is told, and what comes is.
  const latest = await cursorNow(service);
  await service.restart();
  expect(await missedSince(service, latest)).toEqual([]);
});

// Skipped without strace and the right to trace.
test.skipIf(!CAN_TRACE)(
  'killed at each sync of the catalog on the way of a file: it is told once, answered or not',
  async () => {
    const service = await start();
    const cursor = await cursorNow(service);
    let unanswered = 0;
    for (let kill = 1, isAnswered = false; !isAnswered; kill++) {
      // A commit is in the log by then, and no client was told of it.
      const wal = `${service.dataDir}/catalog.db-wal`;
      const trace = await injectAt(service.pid, 'fdatasync', `signal=KILL:when=${kill}`, wal);
      onTestFinished(() => trace.stop());
      const filename = `killed at ${kill}`;
      isAnswered = await putFile(service.url, makeBytes(3_000, 31_002 + kill), { filename }).then(
        () => true,
        () => false,
      );
      await trace.stop();
      await service.restart();
      const names = await namesOf(service);
      if (names.includes(filename) && !isAnswered) unanswered++;
      expect(namesIn(await missedSince(service, cursor))).toEqual(names);
    }
    expect(unanswered).toBeGreaterThan(0);
  },
);

test('killed at any moment of many uploads: each file of the catalog has one event, and nothing else has', async () => {
  const service = await start();
  const cursor = await cursorNow(service);
  let sent = 0;
  let answered = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const stream = await listen(service, {});
    await stream.until(/event: begin/);
    const uploads = Array.from({ length: 12 }, async (_, index) => {
      sent++;
      await putFile(service.url, makeBytes(4_000, 31_100 + round * 12 + index), { filename: `${round}-${index}` });
      answered++;
    });
    const ended = Promise.allSettled(uploads);
    // Others are on their way by then: stored, committed, about to be answered.
    await stream.until(/event: published/);
    await service.restart();
    await ended;
  }
  expect(answered).toBeLessThan(sent);
  // An upload that was whole when the service was killed is published soon after its start: maybe between these.
  const before = await namesOf(service);
  const told = await missedSince(service, cursor);
  const after = await namesOf(service);
  expect(after.length).toBeGreaterThanOrEqual(answered);
  expect(namesIn(told)).toEqual([...new Set(namesIn(told))]);
  expect(namesIn(told)).toEqual(expect.arrayContaining(before));
  expect(after).toEqual(expect.arrayContaining(namesIn(told)));
  expect(new Set(told.map(({ kind }) => kind))).toEqual(new Set(['published']));
});

test('after a day it is forgotten, and the listener looks at the catalog', async () => {
  const surroundings = createVirtualSurroundings(31);
  const config = parseConfig({ DATA_DIR: await makeTempFolder(), HTTP_PORT: '0', DIGESTS: 'md5' });
  const service = await startHere(config, pino({ level: 'silent' }), { surroundings });
  onTestFinished(() => service.stop());
  const on = { url: service.localUrl };
  const cursor = await cursorNow(on);
  await putFile(on.url, 'old', { filename: 'old.txt' });
  const latest = await cursorNow(on);
  const told = async (after: string): Promise<string[]> => {
    const stream = await listen(on, { 'Last-Event-ID': after });
    await stream.until(/event: (begin|published)/);
    stream.response.destroy();
    return [...stream.text().matchAll(/^event: (\w+)/gm)].map(([, kind = '']) => kind);
  };
  await surroundings.advance(DAY_MS - 120_000);
  expect(await told(cursor)).toEqual(['published']);
  await surroundings.advance(240_000);
  // By the job that runs every minute. A round may still wait for the disk when the time has passed.
  await expect
    .poll(async () => {
      await surroundings.advance(60_000);
      return told(cursor);
    })
    .toEqual(['begin']);
  // A client that was told of the last event has missed nothing.
  await putFile(on.url, 'new', { filename: 'new.txt' });
  const stream = await listen(on, { 'Last-Event-ID': latest });
  await stream.until(/new\.txt/);
  expect(eventsIn(stream.text()).map(({ kind }) => kind)).toEqual(['published']);
});
