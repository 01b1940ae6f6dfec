/** Archives of many files, and of many bytes, by account and by link: they open, memory does not grow with them, and they have an end. */
import { createWriteStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { CreatedLinkJson } from '../../server/wire/links.ts';
import type { TrashPageJson } from '../../server/wire/trash.ts';
import { makeBytes } from '../harness/bytes.ts';
import { IS_LINUX } from '../harness/needs.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { type Answer, send } from '../harness/tus.ts';
import { ZIP_READERS } from '../harness/zip-readers.ts';
import { json, putFile } from '../http/support.ts';

/** More than an archive may have that is made without waiting. */
const SOME = 1_300;
/** Of no bytes, which are not read: with the others in their folder more than an archive has without ZIP64. */
const EMPTY = 65_000;
const COUNT = SOME + EMPTY;
const TRASHED = 10_000;
const MIB = 1024 * 1024;
const LARGE_BYTES = 8 * MIB;
const LARGE_COUNT = 25;
/** Of the readers of archives. */
const SLOWEST = "Python's zipfile";
const JSON_TYPE = { 'Content-Type': 'application/json' };

let service: RunningService;
/** In the order of the folder. */
let small: string[];
let large: string[];
/** Of the folder that has the small ones. */
let link: string;
/** Of a folder that has some. */
let linkToSome: string;

/** Gives a content as many names in the folder of a file, in the database itself. @returns the ids of its files. */
function addNames(catalog: Database.Database, fileId: string, count: number): string[] {
  catalog
    .prepare(
      `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count - 1})
      INSERT INTO files (id, owner, name, folded_name, type, uploaded_at, content_id, size, folder_id)
      SELECT printf('%s-%06d', id, n), owner, printf('%s %06d', name, n), printf('%s %06d', name, n), type, uploaded_at - n, content_id, size, folder_id FROM files, numbers WHERE id = ?`,
    )
    .run(fileId);
  const more = Array.from({ length: count - 1 }, (_, index) => `${fileId}-${String(index + 1).padStart(6, '0')}`);
  return [fileId, ...more];
}

/** Puts as many files of the large content into the trash, in the database itself. */
function fillTrash(catalog: Database.Database, fileId: string, count: number): void {
  catalog
    .prepare(
      `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count})
      INSERT INTO trash (id, owner, name, uploaded_at, content_id, size, deleted_at)
      SELECT printf('%s-trashed-%d', id, n), owner, printf('trashed %d', n), uploaded_at, content_id, size, uploaded_at
      FROM files, numbers WHERE id = ?`,
    )
    .run(fileId);
}

async function share(folder: string): Promise<string> {
  const made = await send('POST', `${service.url}/api/links`, {
    headers: JSON_TYPE,
    body: JSON.stringify({ folders: [folder] }),
  });
  return json<CreatedLinkJson>(made).url;
}

beforeAll(async () => {
  service = await startService({ env: { LOG_LEVEL: 'debug', TRASH_TTL: '1d' } });
  const one = await putFile(service.url, 'one small content\n', { filename: 'many/a small one' });
  const empty = await putFile(service.url, '', { filename: 'many/an empty one' });
  const other = await putFile(service.url, makeBytes(LARGE_BYTES, 91), { filename: 'large.bin' });
  const third = await putFile(service.url, 'another small content\n', { filename: 'some/a small one' });
  link = await share('many');
  linkToSome = await share('some');
  await service.kill('SIGTERM');
  const catalog = new Database(join(service.dataDir, 'catalog.db'));
  small = [...addNames(catalog, one.fileId, SOME), ...addNames(catalog, empty.fileId, EMPTY)];
  large = addNames(catalog, other.fileId, LARGE_COUNT);
  addNames(catalog, third.fileId, SOME);
  fillTrash(catalog, other.fileId, TRASHED);
  catalog.close();
  await service.restart();
});
afterAll(() => service.stop());

/** The most memory that the service has had, in MiB. */
async function peakMib(): Promise<number> {
  const status = await readFile(`/proc/${service.pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

interface Ask {
  method?: string;
  body?: string;
  headers?: Record<string, string>;
}

/** Asks, and takes nothing of the answer yet. */
function begin(path: string, { method = 'GET', body, headers }: Ask = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = { method, agent: false as const, ...(headers ? { headers } : {}) };
    const request = httpRequest(new URL(path, service.url), options, resolve);
    request.on('error', reject);
    request.end(body);
  });
}

const byIds = (ids: readonly string[]): [path: string, ask: Ask] => [
  '/api/archive',
  { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ id: ids }) },
];

/** Takes an answer to a file. @returns how many bytes were announced. */
async function save(answer: IncomingMessage, path: string): Promise<number> {
  expect(answer.statusCode).toBe(200);
  await pipeline(answer, createWriteStream(path));
  return Number(answer.headers['content-length']);
}

describe('an archive', () => {
  test(`of ${LARGE_COUNT} times ${LARGE_BYTES / MIB} MiB takes no more memory than its first files`, async () => {
    const before = IS_LINUX ? await peakMib() : 0;
    expect(await save(await begin(...byIds(large)), '/dev/null')).toBeGreaterThan(LARGE_COUNT * LARGE_BYTES);
    if (IS_LINUX) expect((await peakMib()) - before).toBeLessThan(100);
  });

  test(`of ${COUNT} files, by a link to their folder, opens in all readers; by account it has the same bytes`, async () => {
    const path = join(await makeTempFolder(), 'many.zip');
    const before = IS_LINUX ? await peakMib() : 0;
    const answer = await begin(`${link}/archive`);
    const size = await save(answer, path);
    // Their ids, names and offsets; the headers of the central directory are made one after the other.
    if (IS_LINUX) expect((await peakMib()) - before).toBeLessThan(200);
    // Each reads the whole directory. The slowest one reads a single entry's bytes: another one reads those of all.
    for (const { name, check } of ZIP_READERS.filter(({ isHere }) => isHere))
      await check(path, name === SLOWEST ? 'many/an empty one 064999' : undefined);

    // Of the same bytes it is enough to look at a part.
    const { etag = '' } = answer.headers;
    const ofFolder = '/api/archive?folder=many&within=';
    for (const [from, ask] of [
      byIds(small),
      [ofFolder, { method: 'HEAD' }],
      [`${link}/archive`, { method: 'HEAD' }],
    ] as const) {
      const other = await begin(from, ask);
      other.on('error', () => undefined).destroy();
      expect([other.headers.etag, Number(other.headers['content-length'])]).toEqual([etag, size]);
    }
    const end = await begin(ofFolder, { headers: { Range: `bytes=-${4 * MIB}`, 'If-Range': etag } });
    expect(end.statusCode).toBe(206);
    const kept = Buffer.alloc(4 * MIB);
    const file = await open(path);
    await file.read(kept, 0, kept.length, size - kept.length);
    await file.close();
    const chunks: Buffer[] = [];
    for await (const chunk of end as AsyncIterable<Buffer>) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(kept)).toBe(true);
  });

  test('of many files waits while others of very many are made, by whatever way; a small one does not', async () => {
    const others = new Set<ClientRequest>();
    /** Never sends its body. Asks again where archives of earlier tests, whose clients have left, still have the room. */
    function hold(): void {
      const other = httpRequest(`${service.url}/api/archive`, {
        method: 'POST',
        headers: { ...JSON_TYPE, 'Content-Length': 5 * MIB },
      });
      others.add(other);
      other.on('error', () => undefined).flushHeaders();
      other.on('response', () => {
        other.destroy();
        if (others.delete(other)) hold();
      });
    }
    function letGo(): void {
      for (const other of others) {
        others.delete(other);
        other.destroy();
      }
    }
    onTestFinished(letGo);
    for (let count = 0; count < 5; count++) hold();
    const ways = [`${linkToSome}/archive`, `${service.url}/api/archive?folder=some`];
    const ask = (url: string, Accept = '*/*'): Promise<Answer> => send('HEAD', url, { headers: { Accept } });
    await expect.poll(async () => (await ask(ways[1] ?? '')).status).toBe(503);
    for (const url of ways) {
      let answer: Answer | undefined;
      await expect.poll(async () => (answer = await send('GET', url)).status).toBe(503);
      expect(json(answer as Answer)).toMatchObject({ error: { code: 'too_many_connections' } });
      const refused = await ask(url, 'text/html');
      expect([refused.status, refused.headers['retry-after']]).toEqual([503, '30']);
    }
    expect((await ask(`${service.url}/api/archive?id=${large[0]}`)).status).toBe(200);
    letGo();
    for (const url of ways) await expect.poll(async () => (await ask(url)).status).toBe(200);
  });
});

describe('nothing more happens for a client that has left', () => {
  const trashed = async (): Promise<number> =>
    json<TrashPageJson>(await send('GET', `${service.url}/api/trash?limit=1`)).total.files;
  const filesInFolder = async (): Promise<number> =>
    json<{ files: number }>(await send('GET', `${service.url}/api/folders?path=many`)).files;

  test.each<[string, string, string, number, () => Promise<number>]>([
    [
      'the trash is not emptied any further',
      '/api/trash?all=true',
      'a deletion for good ended early',
      TRASHED,
      trashed,
    ],
    ['nor is a folder', '/api/folders?path=many', 'the deletion of a folder ended early', COUNT, filesInFolder],
  ])('%s', async (_, path, told, count, left) => {
    const before = await left();
    expect(before).toBeGreaterThanOrEqual(count);
    const request = httpRequest(service.url + path, { method: 'DELETE', agent: false });
    request.on('error', () => undefined).end();
    await expect.poll(left, { interval: 5 }).toBeLessThan(before);
    expect(service.output()).not.toContain(told);
    request.destroy();
    await expect.poll(() => service.output()).toContain(told);
    expect(await left()).toBeGreaterThan(0);
  });
});
