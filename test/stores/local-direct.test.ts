/** Writes past the page cache. */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, renameSync, statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { bytesIn } from '../../stores/chunks.ts';
import { openIntake, QUIET_MS } from '../../stores/intake.ts';
import { createDirectWrites, hasDirectWrites, nextWrite } from '../../stores/local/direct.ts';
import { createNewFile, type LocalFile } from '../../stores/local/files.ts';
import { SYSTEM } from '../../stores/surroundings.ts';
import { makeBytes } from '../harness/bytes.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

const BLOCK = 4096;
const MIB = 1024 * 1024;
/** open(2) on x86-64 and arm64, as in proc(5): fdinfo, in octal. */
const DIRECT_FLAGS = process.arch === 'arm64' ? 0o200000 : 0o40000;

const shared = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true });
const memory = new Uint8Array(shared.buffer);
memory.set(makeBytes(memory.length, 1));

async function createIn(folder: string): Promise<{ file: LocalFile; path: string }> {
  const path = join(folder, 'a');
  const file = await createNewFile(path);
  if (!file) throw new Error(`${path} is there`);
  return { file, path };
}

/** Whether the file system can do it. */
const isPossible = (path: string): boolean => hasDirectWrites(path, statSync(path).dev);

/** How many descriptors of this process lead to the path, past the page cache. */
function countDirect(path: string): number {
  if (process.platform !== 'linux') return 0;
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) !== path) return false;
      const flags = /^flags:\s+([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
      return (parseInt(flags ?? '0', 8) & DIRECT_FLAGS) !== 0;
    } catch {
      // The descriptor with which the folder was read.
      return false;
    }
  }).length;
}

test('whole blocks go past the cache; what leads to the first one, what is left, and what is few do not', () => {
  const at = (from: number, bytes: number): Uint8Array => memory.subarray(from, from + bytes);
  const shape = (chunks: Uint8Array[], position: number): [number, boolean] => {
    const next = nextWrite(chunks, position);
    return [bytesIn(next.chunks), next.isDirect];
  };
  expect(shape([at(0, MIB)], 0)).toEqual([MIB, true]);
  // Two pieces of one block, and another block.
  expect(shape([at(0, 100), at(100, MIB - 100), at(2 * MIB, MIB)], 5 * BLOCK)).toEqual([2 * MIB, true]);
  expect(shape([at(0, MIB + 5)], BLOCK)).toEqual([MIB, true]);
  expect(shape([at(10, MIB)], 10)).toEqual([BLOCK - 10, false]);
  // Another place in a block of memory than in one of the file.
  expect(shape([at(0, MIB)], 10)).toEqual([MIB, false]);
  expect(shape([at(0, MIB), at(2 * MIB + 1, MIB)], 0)).toEqual([MIB, true]);
  expect(shape([at(0, 64 * 1024)], 0)).toEqual([64 * 1024, false]);
  expect(shape([Buffer.alloc(MIB)], 0)).toEqual([MIB, false]);
  expect(shape([], 0)).toEqual([0, false]);
});

test('a file has the bytes that were written to it, in whichever way', async () => {
  const { file, path } = await createIn(await makeTempFolder());
  const expected = Buffer.alloc(memory.length);
  // Lengths and places in memory of all kinds: aligned as the file, otherwise, and in pieces.
  let position = 0;
  let direct = 0;
  for (let step = 0; position < 3 * MIB; step++) {
    const length = [MIB / 2, 300_001, BLOCK - 1, 131_072, 7][step % 5] ?? 1;
    const from = step % 3 === 0 ? BLOCK + (position % BLOCK) : 5 * step;
    const bytes = memory.subarray(from, from + length);
    const cut = Math.min(length, 777 * step);
    expected.set(bytes, position);
    expect(
      await file.write(
        [bytes.subarray(0, cut), bytes.subarray(cut)].filter(({ length: l }) => l > 0),
        position,
      ),
    ).toBe(length);
    direct = Math.max(direct, countDirect(path));
    position += length;
  }
  await file.sync();
  expect(direct).toBe(isPossible(path) ? 1 : 0);
  expect((await readFile(path)).equals(expected.subarray(0, position))).toBe(true);
  // What is cut off and written again.
  file.truncate(BLOCK + 1);
  expect(await file.write([memory.subarray(1, BLOCK)], BLOCK + 1)).toBe(BLOCK - 1);
  expect(await file.write([memory.subarray(0, MIB)], 2 * BLOCK)).toBe(MIB);
  const again = await readFile(path);
  expect(again.length).toBe(2 * BLOCK + MIB);
  expect(again.subarray(2 * BLOCK).equals(memory.subarray(0, MIB))).toBe(true);
  expect(again.subarray(BLOCK + 1, 2 * BLOCK).equals(memory.subarray(1, BLOCK))).toBe(true);
  await file.close();
  expect(countDirect(path)).toBe(0);
});

test('a name that has come to be another file’s gets no bytes', async () => {
  const folder = await makeTempFolder();
  const { file, path } = await createIn(folder);
  renameSync(path, join(folder, 'b'));
  await writeFile(path, 'mine');
  expect(await file.write([memory.subarray(0, MIB)], 0)).toBe(MIB);
  await file.close();
  expect(await readFile(path, 'utf8')).toBe('mine');
  expect((await readFile(join(folder, 'b'))).equals(memory.subarray(0, MIB))).toBe(true);
});

test('large batches end at whole units, and what is beyond waits for nothing', async () => {
  const source = new PassThrough({ highWaterMark: MIB });
  const options = { signal: new AbortController().signal, maxBytes: 10 * MIB };
  const intake = openIntake(source, options, SYSTEM, { bytes: BLOCK, from: 100 });
  const bytes = makeBytes(200_000, 2);
  source.write(bytes.subarray(0, 150_000));
  source.write(bytes.subarray(150_000));
  await turn();
  const [first, second] = [await intake.take(), await intake.take()];
  expect((100 + bytesIn(first ?? [])) % BLOCK).toBe(0);
  expect(bytesIn(second ?? [])).toBeLessThan(BLOCK);
  expect(Buffer.concat([...(first ?? []), ...(second ?? [])]).equals(bytes)).toBe(true);
  source.end();
  expect(await intake.take()).toBeNull();
});

test('who catches up does not wait for a source that never rests', async () => {
  const source = new PassThrough({ highWaterMark: 64 * MIB });
  const options = { signal: new AbortController().signal, maxBytes: 1024 * MIB };
  const intake = openIntake(source, options, SYSTEM, { bytes: BLOCK, from: 100 });
  const bytes = makeBytes(400_000, 2);
  for (let i = 0; i < 10; i++) source.write(bytes);
  let isCaughtUp = false;
  const caughtUp = intake.catchUp(QUIET_MS).finally(() => (isCaughtUp = true));
  for (let batches = 0; !isCaughtUp && batches < 1_000; batches++) {
    source.write(bytes);
    source.write(bytes);
    await intake.take();
    await turn();
  }
  expect(isCaughtUp).toBe(true);
  expect(await caughtUp).toBe('flowing');
  intake.stop(new Error('enough'));
});

// The last one: it makes this process use no such writes on the disk any more.
test('a disk that refuses such writes gets the bytes in the usual way', async () => {
  const { file, path } = await createIn(await makeTempFolder());
  const fd = openSync(path, 'r+');
  const refused = createDirectWrites(fd, path);
  if (isPossible(path)) expect(await refused.write([memory.subarray(1, BLOCK)], 1)).toBeUndefined();
  refused.close();
  expect(refused.isOff).toBe(true);
  closeSync(fd);
  expect(await file.write([memory.subarray(0, MIB)], 0)).toBe(MIB);
  expect(countDirect(path)).toBe(0);
  await file.close();
  expect((await readFile(path)).equals(memory.subarray(0, MIB))).toBe(true);
});
