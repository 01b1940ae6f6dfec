/** The format of archives: their length is known beforehand, any range of them can be made, and readers open them. */
import { open, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { bytesOf, layOut, type Layout, type Sources, type Span } from '../../server/zip/layout.ts';
import { entryNames } from '../../server/zip/names.ts';
import type { Entry } from '../../server/zip/records.ts';
import { makeBytes } from '../harness/bytes.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { readZip, ZIP_READERS, type ZipReader } from '../harness/zip-readers.ts';

const AT = Date.UTC(2026, 10, 27, 5, 38, 8);
const GIB = 1024 ** 3;

/** A test with each of the readers. */
function eachReader(title: string, run: (reader: ZipReader) => Promise<void>): void {
  for (const reader of ZIP_READERS) test.skipIf(!reader.isHere)(`${title} ${reader.name}`, () => run(reader));
}

/** Entries with these bytes, and where they come from. */
function packed(contents: Record<string, Buffer>): { layout: Layout; sources: Sources; asked: Set<number> } {
  const all = Object.values(contents);
  const asked = new Set<number>();
  return {
    layout: layOut(Object.entries(contents).map(([name, bytes]) => ({ name, size: bytes.length, modifiedAt: AT }))),
    asked,
    sources: {
      async *bytes(index, { start, end }) {
        yield all[index]?.subarray(start, end + 1) ?? Buffer.alloc(0);
      },
      crc32(index) {
        asked.add(index);
        return crc32(all[index] ?? '');
      },
    },
  };
}

async function read(layout: Layout, sources: Sources, span: Span): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytesOf(layout, span, sources)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function wholeOf({ size }: Layout): Span {
  return { start: 0, end: size - 1 };
}

const CONTENTS = {
  'tide.txt': makeBytes(100, 1),
  'empty.txt': Buffer.alloc(0),
  'folder/潮汐 🌊.bin': makeBytes(70_000, 2),
  'CON: <reserved>?.txt': makeBytes(1, 3),
};

describe('an archive', () => {
  test('has the length that was known beforehand, and what was packed, stored', async () => {
    const { layout, sources } = packed(CONTENTS);
    const archive = await read(layout, sources, wholeOf(layout));
    expect(archive.length).toBe(layout.size);
    const entries = readZip(archive);
    expect(entries.map(({ name }) => name)).toEqual(Object.keys(CONTENTS));
    for (const { name, bytes, crc, method, modifiedAt } of entries) {
      const packedBytes = CONTENTS[name as keyof typeof CONTENTS];
      expect(bytes.equals(packedBytes)).toBe(true);
      expect([crc, method, modifiedAt]).toEqual([crc32(packedBytes), 0, AT]);
    }
  });

  test('every range of it has the bytes of the whole, and asks for no CRC that it does not have', async () => {
    const { layout, sources } = packed({ 'a.txt': makeBytes(9, 4), b: Buffer.alloc(0), 'c.bin': makeBytes(30, 5) });
    const archive = await read(layout, sources, wholeOf(layout));
    for (let start = 0; start < archive.length; start++) {
      for (const end of [start, start + 7, start + 60, archive.length - 1].filter((byte) => byte < archive.length)) {
        const part = await read(layout, sources, { start, end });
        if (!part.equals(archive.subarray(start, end + 1))) throw new Error(`${start} to ${end} differ`);
      }
    }
    const { layout: again, sources: others, asked } = packed({ 'a.txt': makeBytes(9, 4), 'c.bin': makeBytes(30, 5) });
    await read(again, others, { start: 0, end: 40 });
    await read(again, others, { start: again.size - 22, end: again.size - 1 });
    expect([...asked]).toEqual([]);
  });

  eachReader('opens in', async (reader) => {
    const path = join(await makeTempFolder(), 'files.zip');
    const { layout, sources } = packed(CONTENTS);
    await writeFile(path, await read(layout, sources, wholeOf(layout)));
    await reader.check(path);
    // What it says counts: it finds a flipped bit.
    const spoilt = await read(layout, sources, wholeOf(layout));
    spoilt[60] = (spoilt[60] ?? 0) ^ 1;
    await writeFile(path, spoilt);
    const isFound = await reader.check(path).then(
      () => false,
      () => true,
    );
    if (!isFound) throw new Error('it did not find a flipped bit');
  });
});

describe('beyond 4 GiB', () => {
  const AFTER = Buffer.from('after the large one\n');

  /** Writes an archive, whose large entry is a hole in the file: nobody reads that one here. */
  async function writeSparse(path: string, size: number): Promise<Layout> {
    const entries: Entry[] = [
      { name: 'before.txt', size: AFTER.length, modifiedAt: AT },
      { name: 'large.bin', size, modifiedAt: AT },
      { name: 'after.txt', size: AFTER.length, modifiedAt: AT },
    ];
    const layout = layOut(entries);
    const sources: Sources = {
      async *bytes() {
        yield AFTER;
      },
      crc32: (index) => (index === 1 ? 0 : crc32(AFTER)),
    };
    const file = await open(path, 'w');
    // Of the large entry the header alone, and then from its descriptor on.
    const end = (layout.offsets[2] ?? 0) - (size >= 4 * GIB - 1 ? 24 : 16);
    for (const span of [
      { start: 0, end: end - size - 1 },
      { start: end, end: layout.size - 1 },
    ]) {
      const part = await read(layout, sources, span);
      expect(part.length).toBe(span.end - span.start + 1);
      await file.write(part, 0, part.length, span.start);
    }
    await file.close();
    return layout;
  }

  describe.each([
    ['an entry of 4 GiB less two bytes', 4 * GIB - 2],
    ['an entry of 4 GiB less one', 4 * GIB - 1],
    ['an entry of 5 GiB', 5 * GIB],
  ])('%s', (_, size) => {
    eachReader('what comes after it opens in', async (reader) => {
      // Info-ZIP 6.0 takes that size, which also says "look into the ZIP64 field", for the latter in the entry after it, too.
      if (reader.name === 'Info-ZIP' && size === 4 * GIB - 1) return;
      const path = join(await makeTempFolder(), 'large.zip');
      await writeSparse(path, size);
      await reader.check(path, 'after.txt');
      await reader.check(path, 'before.txt');
    });
  });
});

describe('names of entries', () => {
  test.each<[string, string[], string[]]>([
    [
      'equal ones get a number before their extension',
      ['a.txt', 'a.txt', 'a.txt'],
      ['a.txt', 'a (2).txt', 'a (3).txt'],
    ],
    ['a name that a file has is left to it', ['a.txt', 'a.txt', 'a (2).txt'], ['a.txt', 'a (3).txt', 'a (2).txt']],
    ['letter case and the form of Unicode do not tell them apart', ['É.md', 'e\u0301.MD'], ['É.md', 'e\u0301 (2).MD']],
    ['a letter has one upper form, but several lower ones', ['ΟΔΟΣ', 'οδος', 'οδοσ'], ['ΟΔΟΣ', 'οδος (2)', 'οδοσ (3)']],
    [
      'neither do dots and spaces at the end, nor reserved signs',
      ['a.txt', 'a.txt.', 'a.txt. .', 'b?', 'b_', 'c...d'],
      ['a.txt', 'a.txt (2).', 'a.txt.  (3).', 'b?', 'b_ (2)', 'c...d'],
    ],
    ['without an extension', ['LICENSE', 'LICENSE', '.env', '.env'], ['LICENSE', 'LICENSE (2)', '.env', '.env (2)']],
    ['paths keep their folders', ['a/b.txt', 'a/b.txt', 'c/b.txt'], ['a/b.txt', 'a/b (2).txt', 'c/b.txt']],
    [
      'none leads out of the folder',
      ['../../etc/passwd', '/etc/x', 'a/./b', '..', ''],
      ['etc/passwd', 'etc/x', 'a/b', '_', '_ (2)'],
    ],
    [
      'a file whose name a folder has gets a number, on any system',
      ['same', 'same/below', 'D/e', 'd/E/f/g', 'same (2)/x', 'same', 'a', 'a.b/c', 'a-b/c'],
      ['same (3)', 'same/below', 'D/e (2)', 'd/E/f/g', 'same (2)/x', 'same (4)', 'a', 'a.b/c', 'a-b/c'],
    ],
    ['backslashes separate nothing', ['..\\..\\evil.exe', 'C:\\x'], ['.._.._evil.exe', 'C:_x']],
    [
      'reserved signs and names stay as they were sent',
      ['CON', 'a:b?.txt', 'nul.txt '],
      ['CON', 'a:b?.txt', 'nul.txt '],
    ],
  ])('%s', (_, given, taken) => {
    expect(entryNames(given)).toEqual(taken);
  });

  test('fit in every file system, also with a number', async () => {
    const long = [`${'a'.repeat(251)}.txt`, `${'潮'.repeat(251)}.txt`, '🌊'.repeat(255)];
    const names = entryNames([...long, ...long]);
    const folder = await makeTempFolder();
    for (const name of names) await writeFile(join(folder, name), '');
    expect(names[0]).toBe(long[0]);
    expect(names[4]).toMatch(/^潮+ \(2\)\.txt$/);
    expect((await readdir(folder)).toSorted()).toEqual(names.toSorted());
    expect(entryNames([`${long[0]}/${long[1]}`])[0]).toBe(`${names[0]}/${names[1]}`);
  });

  test('100,000 names that are the same once they are cut', () => {
    const names = Array.from(
      { length: 50_000 },
      (_, index) => `${'a'.repeat(240)}${String(index).padStart(6, '0')}.txt`,
    );
    expect(new Set(entryNames([...names, ...names])).size).toBe(100_000);
  });

  test('thousands of names in folders that are all different and deep', () => {
    const names = Array.from({ length: 2_000 }, (_, index) => `${index}/${'f/'.repeat(98)}x`);
    const files = names.map((name) => name.slice(0, name.length - 10));
    const taken = entryNames([...files, ...names]);
    expect(taken).toEqual([...files.map((name) => `${name} (2)`), ...names]);
  });

  test('100,000 equal names', () => {
    const names = entryNames(Array.from({ length: 100_000 }, () => 'same.txt'));
    expect(new Set(names).size).toBe(100_000);
    expect(names.at(-1)).toBe('same (100000).txt');
  });
});
