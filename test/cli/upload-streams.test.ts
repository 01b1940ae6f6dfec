/** `tidemark upload --streams`: parts over several connections, whatever happens to them. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startService } from '../harness/service.ts';
import { openPlainProxy } from '../harness/plain-proxy.ts';
import type { Line } from '../harness/proxy.ts';
import type { RunningService } from '../harness/service.ts';
import { send, TUS } from '../harness/tus.ts';
import { makeClient, makeInterceptor, makeLine, MIB, settled, until } from './support.ts';
import type { Client, UploadRecord } from './support.ts';

/** Three parts. */
const SIZE = 24 * MIB + 11;
/** Two parts: the fewest. */
const TWO_PARTS = 16 * MIB + 11;
const SLOW = 16 * MIB;

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

interface Logged {
  method: string;
  path: string;
  status: number;
  bytesIn: number;
}

/** What the service has been asked since `from`, a length of its output. */
function requestsSince(from: number): Logged[] {
  return service
    .output()
    .slice(from)
    .split('\n')
    .filter((line) => line.includes('"msg":"request"'))
    .map((line) => JSON.parse(line) as Logged);
}

/** How many bytes have come with the PATCHes among these, with their headers. */
function patchedBytes(requests: Logged[]): number {
  return requests.filter(({ method }) => method === 'PATCH').reduce((sum, { bytesIn }) => sum + bytesIn, 0);
}

/** The answers to DELETEs since `from`. */
function endings(from: number): number[] {
  return requestsSince(from)
    .filter(({ method }) => method === 'DELETE')
    .map(({ status }) => status);
}

/** What a client has noted of files that it sends in parts. */
function journalled({ folder }: Client): string[] {
  const parts = join(folder, '.local/state/tidemark/parts');
  return readdirSync(parts).filter((name) => name.endsWith('.json'));
}

/** Waits until what a run that has ended has sent is stored: a run that comes before takes over, and what is on its way is lost. */
async function drained(line: Line): Promise<void> {
  await until(() => line.connections() === 0);
}

async function listed(client: Client, name: string): Promise<UploadRecord[]> {
  return (await client.run(['list', '--search', name, '--json'])).records();
}

test('several connections carry an upload at once, and the joined file is verified', async () => {
  const from = service.output().length;
  const line = await makeLine(service.port, SLOW);
  const client = await makeClient(line.url);
  const path = await client.makeFile('parallel.bin', SIZE);
  const result = await client.run(['upload', '--json', '--streams', '3', path]);
  expect(result.stderr).toContain('MD5 verified');
  expect(result.records()).toMatchObject([{ status: 'uploaded', size: SIZE, sentBytes: SIZE, resumedFrom: 0 }]);
  expect(line.carriers(4 * MIB)).toBe(3);
  // One line for the whole.
  const percents = [...result.stderr.matchAll(/parallel\.bin: uploading (\d+)%/g)].map(([, share]) => Number(share));
  expect(percents.length).toBeGreaterThan(2);
  expect(percents).toEqual([...percents].sort((a, b) => a - b));
  expect(patchedBytes(requestsSince(from))).toBeLessThan(SIZE + 16 * 1024);
  expect(await listed(client, 'parallel.bin')).toMatchObject([{ name: 'parallel.bin', size: SIZE }]);
  expect(journalled(client)).toEqual([]);
  // The parts take no space beside the file.
  expect(endings(from)).toEqual([204, 204, 204]);

  const other = await makeClient(service.url);
  await other.run(['get', result.records()[0]?.id ?? '', '-o', 'back.bin']);
  const again = await other.run(['upload', '--json', '--streams', '4', 'back.bin']);
  expect(again.records()).toMatchObject([{ status: 'instant', sentBytes: 0 }]);
});

test('runs that are killed are taken up with any number of connections, and no stored byte is sent again', async () => {
  const from = service.output().length;
  const line = await makeLine(service.port, SLOW);
  const client = await makeClient(line.url);
  const path = await client.makeFile('killed.bin', SIZE);
  for (const [streams, share] of [
    ['3', 0.3],
    ['1', 0.5],
    ['5', 0.8],
  ] as const) {
    const run = client.start(['upload', '--streams', streams, path]);
    await until(() => line.sentBytes() > share * SIZE);
    run.signal('SIGKILL');
    await run.done;
    await drained(line);
  }
  const result = await client.run(['upload', '--json', '--streams', '2', path]);
  const [record] = result.records();
  expect(record).toMatchObject({ status: 'uploaded', size: SIZE });
  expect(record?.resumedFrom).toBeGreaterThan(0.5 * SIZE);
  expect((record?.resumedFrom ?? 0) + (record?.sentBytes ?? 0)).toBe(SIZE);
  const requests = requestsSince(from);
  // What came is what was needed, but for the headers.
  expect(patchedBytes(requests)).toBeLessThan(SIZE + 16 * 1024);
  expect(patchedBytes(requests)).toBeGreaterThanOrEqual(SIZE);
  expect(await listed(client, 'killed.bin')).toHaveLength(1);
});

test('Ctrl-C keeps the parts; what was begun over one connection is resumed over one', async () => {
  const line = await makeLine(service.port, SLOW);
  const client = await makeClient(line.url);
  const path = await client.makeFile('begun.bin', SIZE);
  const whole = client.start(['upload', path]);
  await until(() => line.sentBytes() > SIZE / 4);
  whole.signal('SIGINT');
  await whole.done;
  const resumed = await client.run(['upload', '--json', '--streams', '4', path]);
  expect(resumed.stderr).toContain('resuming an upload that was begun over one connection');
  expect(resumed.records()).toMatchObject([{ status: 'uploaded' }]);
  expect(resumed.records()[0]?.resumedFrom).toBeGreaterThan(0);

  const other = await client.makeFile('parted.bin', TWO_PARTS);
  const before = line.sentBytes();
  const parts = client.start(['upload', '--streams', '4', other]);
  await until(() => line.sentBytes() > before + TWO_PARTS / 4);
  parts.signal('SIGINT');
  const stopped = await parts.done;
  expect(stopped.exitCode).toBe(130);
  expect(stopped.stderr).toContain(`tidemark upload --streams 4 ${other}`);
  await drained(line);
  const [record] = (await client.run(['upload', '--json', other])).records();
  expect(record?.resumedFrom).toBeGreaterThan(0);
  expect((record?.resumedFrom ?? 0) + (record?.sentBytes ?? 0)).toBe(TWO_PARTS);
});

test('cut lines, a restart of the service, and a part that is refused for a while: the others go on', async () => {
  const line = await makeLine(service.port, SLOW);
  let refused = 0;
  let first: string | undefined;
  const url = await makeInterceptor(line.url, ({ method, url: path }) => {
    if (method !== 'PATCH') return null;
    first ??= path;
    if (path !== first || refused >= 3) return null;
    refused += 1;
    return { status: 503 };
  });
  const client = await makeClient(url);
  const run = client.start(['upload', '--json', '--streams', '3', await client.makeFile('cut.bin', SIZE)]);
  await until(() => line.sentBytes() > SIZE / 3);
  line.cut();
  await until(() => line.sentBytes() > SIZE / 2);
  await service.restart();
  const result = await run.done;
  expect(result.stderr).toContain('MD5 verified');
  expect(result.records()).toMatchObject([{ status: 'uploaded', size: SIZE }]);
  expect(refused).toBe(3);
});

test('an error that no retry cures stops all connections', async () => {
  let patches = 0;
  const url = await makeInterceptor(service.url, ({ method }) => {
    if (method !== 'PATCH') return null;
    patches += 1;
    return patches === 3 ? { status: 403, body: { error: { code: 'forbidden', message: 'No more.' } } } : null;
  });
  const client = await makeClient(url);
  const path = await client.makeFile('forbidden.bin', SIZE);
  const result = await client.run(['upload', '--streams', '2', path]);
  expect(result).toMatchObject({ exitCode: 1, stdout: '' });
  expect(result.stderr).toContain('No more. (403 forbidden)');
  expect(result.stderr.match(/No more/g)).toHaveLength(1);
  const [record] = (await client.run(['upload', '--json', path])).records();
  expect(record?.resumedFrom).toBeGreaterThan(0);
});

test('where the service joins no parts, one connection carries the file, and a line says so', async () => {
  const url = await makeInterceptor(service.url, ({ method }) =>
    method === 'OPTIONS' ? { without: ['tus-extension'] } : null,
  );
  const client = await makeClient(url);
  const result = await client.run([
    'upload',
    '--json',
    '--streams',
    '4',
    await client.makeFile('plain.bin', TWO_PARTS),
  ]);
  expect(result.stderr).toContain('plain.bin: the service does not join the parts');
  expect(result.records()).toMatchObject([{ status: 'uploaded', sentBytes: TWO_PARTS }]);
});

test('a lost answer to the final upload makes no second file', async () => {
  let finals = 0;
  const url = await makeInterceptor(service.url, ({ method, headers }) => {
    if (method !== 'POST' || !String(headers['upload-concat']).startsWith('final;')) return null;
    finals += 1;
    return { answer: 'lost' };
  });
  const client = await makeClient(url);
  const result = await client.run([
    'upload',
    '--json',
    '--streams',
    'auto',
    await client.makeFile('lost.bin', TWO_PARTS),
  ]);
  expect(result.records()).toMatchObject([{ status: 'uploaded', sentBytes: TWO_PARTS }]);
  expect(finals).toBe(1);
  expect(await listed(client, 'lost.bin')).toHaveLength(1);
});

test('while the service joins, the command waits; a run that is killed meanwhile leaves one file, which the next one renames', async () => {
  let looks = 0;
  let hides = true;
  const hidden = ['tidemark-file-id', 'tidemark-file-url', 'upload-offset'];
  const url = await makeInterceptor(service.url, ({ method, headers, url: path = '' }) => {
    const isFinal = String(headers['upload-concat']).startsWith('final;');
    if (method === 'HEAD' && path.startsWith('/uploads/')) looks += 1;
    return hides && (isFinal || method === 'HEAD') ? { without: hidden } : null;
  });
  const client = await makeClient(url);
  const path = await client.makeFile('draft.bin', TWO_PARTS);
  const run = client.start(['upload', '--streams', '2', path]);
  await until(() => looks >= 3);
  run.signal('SIGKILL');
  expect((await run.done).stderr).toContain('draft.bin: all bytes are there; the service joins the parts');
  hides = false;
  const result = await client.run(['upload', '--json', '--name', 'joined.bin', path]);
  expect(result.records()).toMatchObject([
    { status: 'uploaded', name: 'joined.bin', sentBytes: 0, resumedFrom: TWO_PARTS },
  ]);
  expect(await listed(client, 'draft.bin')).toEqual([]);
  expect(await listed(client, 'joined.bin')).toHaveLength(1);
});

test('where the file is there, and the service has forgotten the final upload, nothing is sent again', async () => {
  let looks = 0;
  let state: 'hidden' | 'gone' = 'hidden';
  const url = await makeInterceptor(service.url, ({ method, headers, url: path = '' }) => {
    const isFinal = String(headers['upload-concat']).startsWith('final;');
    const isLook = method === 'HEAD' && path.startsWith('/uploads/');
    if (isLook) looks += 1;
    if (isLook && state === 'gone') return { status: 410 };
    const hides = state === 'hidden' && (isFinal || isLook);
    return hides ? { without: ['tidemark-file-id', 'tidemark-file-url', 'upload-offset'] } : null;
  });
  const client = await makeClient(url);
  const path = await client.makeFile('forgotten.bin', TWO_PARTS);
  const run = client.start(['upload', '--streams', '2', path]);
  await until(() => looks >= 2);
  run.signal('SIGKILL');
  await run.done;
  state = 'gone';
  const result = await client.run(['upload', '--json', '--streams', '2', path]);
  expect(result.records()).toMatchObject([{ status: 'instant', sentBytes: 0 }]);
  expect(await listed(client, 'forgotten.bin')).toHaveLength(1);
  expect(journalled(client)).toEqual([]);
});

test('a part that the service has lost is sent again, and nothing else', async () => {
  const line = await makeLine(service.port, SLOW);
  const client = await makeClient(line.url);
  const path = await client.makeFile('part-lost.bin', SIZE);
  const from = service.output().length;
  const run = client.start(['upload', '--streams', '2', path]);
  await until(() => line.sentBytes() > 0.7 * SIZE);
  run.signal('SIGKILL');
  await run.done;
  await drained(line);
  const [first] = requestsSince(from).filter(({ method }) => method === 'PATCH');
  expect((await send('DELETE', `${service.url}${first?.path}`, { headers: TUS })).status).toBe(204);
  const [record] = (await client.run(['upload', '--json', '--streams', '3', path])).records();
  expect(record).toMatchObject({ status: 'uploaded', size: SIZE });
  expect((record?.resumedFrom ?? 0) + (record?.sentBytes ?? 0)).toBe(SIZE);
  expect(record?.resumedFrom).toBeGreaterThan(0.3 * SIZE);
});

test('the parts of a file that has changed are ended at the service', async () => {
  const line = await makeLine(service.port, SLOW);
  const client = await makeClient(line.url);
  const path = await client.makeFile('edited.bin', TWO_PARTS);
  await settled(path);
  const from = service.output().length;
  const ended = (): Logged[] => requestsSince(from).filter(({ method }) => method === 'DELETE');
  const run = client.start(['upload', '--streams', '2', path]);
  await until(() => line.sentBytes() > TWO_PARTS / 4);
  await appendFile(path, 'more');
  const changed = await run.done;
  expect(changed).toMatchObject({ exitCode: 1 });
  expect(changed.stderr).toContain('grew while it was being read');
  expect(ended().length).toBeGreaterThanOrEqual(2);
  expect(journalled(client)).toEqual([]);

  // What a run has left that was killed before.
  const killed = client.start(['upload', '--streams', '2', path]);
  const before = line.sentBytes();
  await until(() => line.sentBytes() > before + TWO_PARTS / 4);
  killed.signal('SIGKILL');
  await killed.done;
  await appendFile(path, 'and more');
  const already = ended().length;
  const next = await client.run(['upload', '--json', '--streams', '2', path]);
  expect(next.records()).toMatchObject([{ status: 'uploaded', resumedFrom: 0 }]);
  expect(ended().length).toBeGreaterThan(already);
});

test('of two runs that begin at the same moment, one waits for the other', async () => {
  // Both look for parts of an earlier run before either of them has any.
  let delays = true;
  const url = await makeInterceptor(service.url, ({ method }) =>
    delays && method === 'OPTIONS' ? { answerAfterMs: 1_500 } : null,
  );
  const client = await makeClient(url);
  const path = await client.makeFile('at-once.bin', TWO_PARTS);
  const runs = ['2', '3'].map((streams) => client.start(['upload', '--json', '--streams', streams, path]));
  const ended = await Promise.all(runs.map(({ done }) => done));
  const records = ended.flatMap((result) => result.records());
  expect(records.map(({ status }) => status).sort()).toEqual(['instant', 'uploaded']);
  expect(await listed(client, 'at-once.bin')).toHaveLength(1);
  expect(journalled(client)).toEqual([]);

  delays = false;
  // A run that ends before it has any parts leaves nothing that others would wait for.
  const other = await client.makeFile('claimed.bin', TWO_PARTS);
  const killed = client.start(['upload', '--streams', '2', other]);
  await until(() => journalled(client).length > 0);
  killed.signal('SIGKILL');
  await killed.done;
  const [record] = (await client.run(['upload', '--json', '--streams', '2', other])).records();
  expect(record).toMatchObject({ status: 'uploaded', sentBytes: TWO_PARTS });
});

test('damaged rows of the journal count as none, and many connections give no warning', async () => {
  const line = await makeLine(service.port, SLOW);
  const client = await makeClient(line.url);
  // Node warns of an eleventh listener.
  const size = 11 * 8 * MIB;
  const path = await client.makeFile('damaged.bin', size);
  const run = client.start(['upload', '--streams', '16', path]);
  await until(() => line.sentBytes() > size / 16);
  run.signal('SIGKILL');
  await run.done;
  const entry = join(client.folder, '.local/state/tidemark/parts', journalled(client)[0] ?? '');
  const damaged = readFileSync(entry, 'utf8').replaceAll(/"url":"[^"]*"/g, '"url":"http://elsewhere.test/x"');
  writeFileSync(entry, damaged);
  const result = await client.run(['upload', '--json', '--streams', '16', path]);
  expect(result.records()).toMatchObject([{ status: 'uploaded', size }]);
  expect(result.stderr).not.toContain('Warning');
});

test('a second run waits for the first, and standard input has one connection', async () => {
  const line = await makeLine(service.port, SLOW);
  const client = await makeClient(line.url);
  const path = await client.makeFile('twice.bin', TWO_PARTS);
  const first = client.start(['upload', '--json', '--streams', '2', path]);
  await until(() => line.sentBytes() > TWO_PARTS / 4);
  // However long the second one takes to start, the first has not finished by then.
  line.setSpeed(MIB / 4);
  const second = client.start(['upload', '--json', '--streams', '2', path]);
  await second.said('another run of this command is already sending these bytes');
  line.setSpeed(Infinity);
  expect((await first.done).records()).toMatchObject([{ status: 'uploaded', sentBytes: TWO_PARTS }]);
  expect((await second.done).records()).toMatchObject([{ status: 'instant', sentBytes: 0 }]);

  const refused = await client.run(['upload', '--streams', '2', '-', '--name', 'x']);
  expect(refused).toMatchObject({ exitCode: 2, stdout: '' });
  expect(refused.stderr).toContain('--streams goes with files');
});

test('behind a proxy that takes no PATCH and no large request, all connections adapt', async () => {
  const proxy = await openPlainProxy({
    toPort: service.port,
    refuse: ({ method, headers }) => {
      if (method === 'PATCH') return 405;
      return Number(headers['content-length']) > 4 * MIB ? 413 : undefined;
    },
  });
  const client = await makeClient(proxy.url);
  const result = await client.run([
    'upload',
    '--json',
    '--streams',
    '3',
    await client.makeFile('small.bin', TWO_PARTS),
  ]);
  expect(result.records()).toMatchObject([{ status: 'uploaded', size: TWO_PARTS }]);
  expect(result.stderr).toContain('sending at most 4.0 MiB at once from now on');
});
