/** The power goes at any point of a real run: what was told before holds. */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { playCuts, record } from './cut.ts';
import { replay } from './disk.ts';
import { compileLibrary, makeScratch, MISSING } from './recorder.ts';
import { type Call, readCalls } from './recording.ts';

const SEED = 20;
/** The same cuts on every machine; one that is all but stuck fails. `npm run chaos -- power` plays more. */
const CUTS = { cuts: 60, budgetMs: 540_000 };
const CUTS_AFTER_FAULTS = { cuts: 25, budgetMs: 300_000 };
/** Recording and cutting, on a machine that is busy with other things. */
const TIMEOUT_MS = 600_000;

if (MISSING !== undefined) console.warn(`skipped: ${MISSING}`);

let scratch = '';
let library = '';
beforeAll(async () => {
  scratch = await makeScratch();
  if (MISSING === undefined) library = compileLibrary(scratch);
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

describe.skipIf(MISSING !== undefined)('a power cut', { timeout: TIMEOUT_MS }, () => {
  test('what is recorded is all that was done', async () => {
    const folder = join(scratch, 'all');
    const { recording } = await record({ folder, library, seed: SEED });
    const into = join(folder, 'replayed');
    await mkdir(into);
    await recording.disk.leave(recording.disk.calls.length, 'all', into);
    // What SQLite's connections share of the log's index is written to memory. It is made anew from the log at each start.
    execFileSync('diff', ['-r', '-x', '*-reserve', '-x', '*-shm', join(folder, 'root'), into]);
    expect(await playCuts({ recording, seed: SEED, ...CUTS, scratch })).toEqual([]);
  });

  test('a sync of the folder fails once, and later one of the log of the catalog', async () => {
    const folder = join(scratch, 'failed-syncs');
    const failSyncs = [
      { pathEnd: '/files', nth: 4 },
      { pathEnd: '-wal', nth: 30 },
    ];
    const { recording, faults } = await record({ folder, library, seed: SEED, failSyncs });
    expect(faults).toBe(2);
    expect(await playCuts({ recording, seed: SEED, ...CUTS_AFTER_FAULTS, scratch })).toEqual([]);
  });

  test('calls fail at random', async () => {
    const folder = join(scratch, 'faults');
    const { recording, faults } = await record({ folder, library, seed: SEED, faults: 80 });
    expect(faults).toBeGreaterThan(0);
    expect(await playCuts({ recording, seed: SEED, ...CUTS_AFTER_FAULTS, scratch })).toEqual([]);
  });
});

describe('the disk', () => {
  const at = { time: 0, pid: 1 };
  const open = (fd: number, path: string): Call => ({ ...at, kind: 'open', fd, flags: 0, path });
  const write = (offset: number, text: string): Call => ({
    ...at,
    kind: 'write',
    fd: 1,
    offset,
    bytes: Buffer.from(text),
  });
  const sync = (fd: number, token: bigint, failed = false): Call[] => [
    { ...at, kind: 'syncBegin', fd, token },
    { ...at, kind: 'syncEnd', fd, token, failed },
  ];
  const begin = [open(9, '/disk'), open(1, '/disk/a'), write(0, 'first')];

  async function leave(
    calls: Call[],
    luck: 'none' | 'all' = 'none',
  ): Promise<(name: string) => Promise<string | undefined>> {
    const into = join(scratch, `disk-${Math.random()}`);
    await mkdir(into);
    await replay(calls, '/disk').leave(calls.length, luck, into);
    return (name) => readFile(join(into, name), 'utf8').catch(() => undefined);
  }

  test('an entry is there after a sync of its folder, and bytes after one of their file', async () => {
    expect(await (await leave([...begin, ...sync(1, 1n)]))('a')).toBeUndefined();
    expect(await (await leave([...begin, ...sync(9, 1n)]))('a')).toBe('');
    expect(await (await leave([...begin, ...sync(1, 1n), ...sync(9, 2n)]))('a')).toBe('first');
    expect(await (await leave(begin, 'all'))('a')).toBe('first');
  });

  test('a sync counts for what came before its beginning, once it has ended', async () => {
    const during: Call[] = [...begin, { ...at, kind: 'syncBegin', fd: 1, token: 1n }, write(5, '+second')];
    const ended: Call = { ...at, kind: 'syncEnd', fd: 1, token: 1n, failed: false };
    expect(await (await leave([...during, ...sync(9, 2n)]))('a')).toBe('');
    expect(await (await leave([...during, ended, ...sync(9, 2n)]))('a')).toBe('first');
  });

  test('what a failed sync was for is not there after a later one, unless it was done anew', async () => {
    const failed = [...begin, ...sync(1, 1n, true), ...sync(1, 2n), ...sync(9, 3n)];
    expect(await (await leave(failed))('a')).toBe('');
    expect(await (await leave([...failed, write(0, 'again'), ...sync(1, 4n)]))('a')).toBe('again');
    const names: Call[] = [...begin, ...sync(1, 1n), ...sync(9, 2n, true), ...sync(9, 3n)];
    expect(await (await leave(names))('a')).toBeUndefined();
    expect(
      await (
        await leave([...names, { ...at, kind: 'link', path: '/disk/a', to: '/disk/b' }, ...sync(9, 4n)])
      )('b'),
    ).toBe('first');
  });

  test('a rename is there whole or not at all, and two names are one file', async () => {
    const synced = [...begin, ...sync(1, 1n), ...sync(9, 2n)];
    const renamed: Call[] = [...synced, { ...at, kind: 'rename', path: '/disk/a', to: '/disk/b' }];
    const none = await leave(renamed);
    expect([await none('a'), await none('b')]).toEqual(['first', undefined]);
    const all = await leave([...renamed, ...sync(9, 3n)]);
    expect([await all('a'), await all('b')]).toEqual([undefined, 'first']);
  });

  test('a log that was cut off is read as far as it goes', () => {
    expect(readCalls(Buffer.alloc(0))).toEqual([]);
  });
});
