/** Many files to be searched, and parts of their names that are found in each of the ways that a search has. */
import { expect } from 'vitest';
import type { Catalog, FileQuery, FileRecord, FileSort } from '../../server/catalog/catalog.ts';
import { foldName } from '../../server/wire/fold-name.ts';

export const FILES = 8_200;
const SORTS: FileSort[] = ['uploaded', 'name', 'size'];

/** The n-th name. In each order the first 2,500 names have nothing that is looked for but ".txt". */
export function nameOf(n: number): string {
  if (n <= 2500) return `a ${n}.txt`;
  if (n === 4000) return 'b 100%_of\\it.txt';
  if (n === 4002) return 'b lolol.txt';
  if (n === 4006) return 'b ends with zw';
  if (n % 2500 === 1) return `b Rare-${n}.txt`;
  if (n % 2500 === 2) return `c 报告${n}.txt`;
  if (n % 2500 === 3) return `c qx${n}.txt`;
  return n % 40 === 4 ? `d some ${n}.txt` : `e tide ${n}.txt`;
}

/** In few names, in some, in more than are sorted, in all, in none; short ones; signs of patterns; pieces of a name in another order. */
const PARTS = [
  'rare',
  'RARE-',
  'some',
  'tide',
  '.txt',
  'absent',
  'xt.',
  'qx',
  'xq',
  'q',
  'ß',
  'zw',
  'h z',
  'w',
  '报告',
  '报告5',
  '报',
  '%_',
  '100%_of\\it',
  'ololol',
];

/** All pages of a listing, or the first ones, until there are so many files. */
async function pages(catalog: Catalog, query: FileQuery, most: number): Promise<string[]> {
  const files: FileRecord[] = [];
  for (let cursor: string | null | undefined; cursor !== null && files.length < most;) {
    const found = await catalog.listFiles(cursor === undefined ? query : { ...query, cursor });
    files.push(...found.files);
    cursor = found.nextCursor;
  }
  return files.slice(0, most).map(({ name }) => name);
}

/** Finds what a look at each of ann's names finds, in all orders. */
export async function expectAllFound(catalog: Catalog): Promise<void> {
  for (const sort of SORTS) {
    for (const descending of [false, true]) {
      const query = { owner: 'ann', sort, descending };
      const all = await pages(catalog, { ...query, limit: 1_000 }, Infinity);
      expect(all).toHaveLength(FILES);
      for (const search of PARTS) {
        const matching = all.filter((name) => foldName(name).includes(foldName(search)));
        const found = await pages(catalog, { ...query, search, limit: 4 }, 8);
        expect(found, `${search} by ${sort}`).toEqual(matching.slice(0, 8));
      }
    }
  }
}
