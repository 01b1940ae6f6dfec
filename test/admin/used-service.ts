/** A service that was used in all ways, stopped: what is moved. And the move as a real process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { COLLIDING } from '../harness/collision.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, head, patch, send } from '../harness/tus.ts';

const ADMIN = fileURLToPath(new URL('../../server/admin/main.js', import.meta.url));

export const OWNERS = { ann: 'secret-of-ann', bob: 'secret-of-bob' } as const;
export type Owner = keyof typeof OWNERS;
export const ACCESS = { AUTH_TOKENS: 'ann:secret-of-ann,bob:secret-of-bob', TRASH_TTL: '7d' };

const as = (owner: Owner): Record<string, string> => ({ Authorization: `Bearer ${OWNERS[owner]}` });

/** Of more than one part in a bucket. */
const LARGE = makeBytes(12 * 1024 * 1024, 1301);
/** Of an upload that is not finished: so much of it has come. */
const UNFINISHED = makeBytes(10 * 1024 * 1024, 1302);
export const ARRIVED = 9 * 1024 * 1024;
const SHARED = makeBytes(5_000, 1303);

export interface UsedService {
  readonly folder: string;
  /** What each owner's listing says, in order. */
  readonly listed: Record<Owner, ListedFile[]>;
  /** Bytes by the id of the file. */
  readonly bytes: Map<string, Buffer>;
  /** The path of an upload of Ann's that is not finished. */
  readonly unfinished: string;
  /** The path of one that was ended by its client. */
  readonly ended: string;
  /** Of an event of Ann's, before her file was renamed and another one deleted. */
  readonly cursor: string;
}

export interface ListedFile {
  id: string;
  name: string;
  size: number;
  md5: string;
}

export interface UseOptions {
  /** Small files of Ann's beside the others, which have five contents, and one in the trash. */
  small?: number;
  /** Settings of the service. */
  env?: NodeJS.ProcessEnv;
}

/** Uses a service in a folder, and stops it. */
export async function useService(folder: string, { small = 2, env = {} }: UseOptions = {}): Promise<UsedService> {
  const service = await startService({ dataDir: folder, env: { ...ACCESS, ...env } });
  try {
    return await use(service, small);
  } finally {
    await service.stop();
  }
}

async function use(service: RunningService, small: number): Promise<UsedService> {
  const put = async (owner: Owner, filename: string, bytes: Buffer): Promise<void> => {
    const location = await createUpload(service.url, bytes.length, { filename }, as(owner));
    if (bytes.length > 0) expect((await patch(location, 0, bytes, as(owner))).status).toBe(204);
  };
  await put('ann', 'large.bin', LARGE);
  await put('ann', 'nothing.txt', Buffer.alloc(0));
  await put('ann', 'gone.txt', Buffer.from('what is deleted'));
  for (const [at, bytes] of COLLIDING.entries()) await put('bob', `twin-${at}.dat`, bytes);
  for (const owner of ['ann', 'bob'] as const) await put(owner, `shared of ${owner}.zip`, SHARED);
  for (let at = 0; at < small; at++)
    await put('ann', `small ${at} \u00e9\u{1F600}.txt`, makeBytes(1_000 + at, 1400 + at));
  const cursor = await firstEventId(service);
  const before = await listOf(service, 'ann');
  const renamed = before.find(({ name }) => name === 'nothing.txt');
  const rename = await fetch(`${service.url}/api/files/${renamed?.id}`, {
    method: 'PATCH',
    headers: { ...as('ann'), 'Content-Type': 'application/json' },
    body: JSON.stringify({ name: 'empty.txt' }),
  });
  expect(rename.status).toBe(200);
  const deleted = before.find(({ name }) => name === 'gone.txt');
  const remove = await send('DELETE', `${service.url}/api/files/${deleted?.id}`, { headers: as('ann') });
  expect(remove.status).toBe(204);

  const ended = await createUpload(service.url, 10, {}, as('ann'));
  expect((await send('DELETE', ended, { headers: { ...as('ann'), 'Tus-Resumable': '1.0.0' } })).status).toBe(204);
  const unfinished = await createUpload(service.url, UNFINISHED.length, { filename: 'later.bin' }, as('ann'));
  expect((await patch(unfinished, 0, UNFINISHED.subarray(0, ARRIVED), as('ann'))).status).toBe(204);

  const listed = { ann: await listOf(service, 'ann'), bob: await listOf(service, 'bob') };
  const bytes = new Map<string, Buffer>();
  for (const owner of ['ann', 'bob'] as const)
    for (const { id } of listed[owner]) bytes.set(id, await bytesOf(service, owner, id));
  expect(await service.kill('SIGTERM')).toBe(0);
  const path = (location: string): string => new URL(location).pathname;
  return { folder: service.dataDir, listed, bytes, cursor, unfinished: path(unfinished), ended: path(ended) };
}

/** All that a service must have that took over from this one. */
export async function expectAll(service: RunningService, used: UsedService): Promise<void> {
  for (const owner of ['ann', 'bob'] as const) {
    expect(await listOf(service, owner)).toEqual(used.listed[owner]);
    for (const { id } of used.listed[owner]) {
      const found = await bytesOf(service, owner, id);
      expect(used.bytes.get(id)?.equals(found), `the bytes of ${id}`).toBe(true);
    }
  }
  for (const [owner, names] of [
    ['ann', ['gone.txt']],
    ['bob', []],
  ] as const) {
    const { body } = await send('GET', `${service.url}/api/trash`, { headers: as(owner) });
    expect((JSON.parse(body) as { files: ListedFile[] }).files.map(({ name }) => name)).toEqual(names);
  }
  expect((await head(service.url + used.ended, as('ann'))).status).toBe(410);
  const events = await eventsAfter(service, used.cursor);
  expect(events).toMatch(/event: renamed[^]*empty\.txt[^]*event: deleted/);
  expect(events).not.toMatch(/event: (?:begin|published)/);
}

/** What HEAD says of the unfinished upload. */
export async function unfinishedOffset(service: RunningService, used: UsedService): Promise<number | undefined> {
  const { status, headers } = await head(service.url + used.unfinished, as('ann'));
  return status === 200 ? Number(headers['upload-offset']) : undefined;
}

export async function unfinishedStatus(service: RunningService, used: UsedService): Promise<number> {
  return (await head(service.url + used.unfinished, as('ann'))).status;
}

/** Sends the rest of the unfinished upload. */
export async function finishUpload(service: RunningService, used: UsedService): Promise<void> {
  expect(await unfinishedOffset(service, used)).toBe(ARRIVED);
  const rest = UNFINISHED.subarray(ARRIVED);
  expect((await patch(service.url + used.unfinished, ARRIVED, rest, as('ann'))).status).toBe(204);
  const file = (await listOf(service, 'ann')).find(({ name }) => name === 'later.bin');
  expect((await bytesOf(service, 'ann', file?.id ?? '')).equals(UNFINISHED)).toBe(true);
  // Numbers of events go on behind those of the source.
  const after = await readEvents(service, { 'Last-Event-ID': used.cursor }, /([^]*?later\.bin[^]*?\n\n)/);
  expect(after).toMatch(/event: renamed[^]*event: deleted[^]*event: published/);
}

export async function upload(service: RunningService, owner: Owner, filename: string, bytes: Buffer): Promise<void> {
  const location = await createUpload(service.url, bytes.length, { filename }, as(owner));
  expect((await patch(location, 0, bytes, as(owner))).status).toBe(204);
}

async function listOf(service: RunningService, owner: Owner): Promise<ListedFile[]> {
  const { body } = await send('GET', `${service.url}/api/files?limit=1000&sort=name`, { headers: as(owner) });
  const { files } = JSON.parse(body) as { files: (ListedFile & { url: string })[] };
  // Its address has the port of the service.
  return files.map(({ url, ...file }) => ({ ...file, path: new URL(url).pathname }));
}

export async function bytesOf(service: RunningService, owner: Owner, id: string): Promise<Buffer> {
  const answer = await fetch(`${service.url}/api/files/${id}/content`, { headers: as(owner) });
  return answer.ok ? Buffer.from(await answer.arrayBuffer()) : Buffer.from(`answered ${answer.status}`);
}

function firstEventId(service: RunningService): Promise<string> {
  return readEvents(service, {}, /^id: (.+)$/m);
}

/** All from there to the first deletion. */
function eventsAfter(service: RunningService, cursor: string): Promise<string> {
  return readEvents(service, { 'Last-Event-ID': cursor }, /([^]*?^event: deleted\n[^]*?\n\n)/m);
}

/** Reads until something has come. @returns what the first group has found. */
async function readEvents(service: RunningService, headers: Record<string, string>, until: RegExp): Promise<string> {
  const stop = AbortSignal.timeout(10_000);
  const answer = await fetch(`${service.url}/api/events`, { headers: { ...as('ann'), ...headers }, signal: stop });
  let text = '';
  for await (const chunk of answer.body ?? []) {
    text += Buffer.from(chunk).toString();
    const found = until.exec(text);
    if (found) return found[1] ?? '';
  }
  throw new Error(`the events ended: ${text}`);
}

export interface Move {
  readonly child: ChildProcess;
  readonly done: Promise<{ exitCode: number | null; output: string }>;
}

/** Starts a move of the service in a folder. @param env - its settings beside DATA_DIR. */
export function startMove(folder: string, args: string[], env: NodeJS.ProcessEnv = {}): Move {
  const child = spawn(process.execPath, ['--enable-source-maps', ADMIN, 'move', ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'], DATA_DIR: folder, ...ACCESS, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const done = once(child, 'close').then(([exitCode]) => ({ exitCode: exitCode as number | null, output }));
  return { child, done };
}

/** Writes settings to a file, as `--to-env` takes them. */
export async function envFile(settings: NodeJS.ProcessEnv): Promise<string> {
  const path = join(await makeTempFolder(), 'target.env');
  const lines = Object.entries({ ...ACCESS, ...settings }).map(([name, value]) => `${name}='${value}'`);
  await writeFile(path, lines.join('\n'));
  return path;
}

/** Every file in a folder: its name, when it was changed, and what it holds. */
export async function fingerprint(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const { mtimeMs, mode } = await stat(path);
    const bytes = entry.isFile() ? await readFile(path) : Buffer.alloc(0);
    // A folder is changed where something is made in it and removed again.
    const changed = entry.isFile() ? mtimeMs : 0;
    found[path] = `${changed} ${mode} ${createHash('sha256').update(bytes).digest('hex')}`;
  }
  return found;
}
