/** The calls that are measured: those of requests, heartbeats and jobs. */
import { createHash } from 'node:crypto';
import type { Catalog, FileQuery, FileSort } from '../../server/catalog/catalog.ts';
import { encodeCursor } from '../../server/catalog/cursor.ts';
import type { TestDatabase } from '../../test/harness/shared-postgres.ts';
import { ABSENT, type Counts, OWNER, RARE } from './catalog-rows.ts';

/** `i`: the number of this call. */
export type Call = (i: number) => Promise<unknown>;

/** Which rows of a filled catalog the calls read. */
export interface Marks extends Counts {
  /** In each order, where a page in the middle of OWNER's files begins. */
  deep: Record<FileSort, string>;
}

/** The node that is measured. */
export const NODE = 'bench node';
const SORTS = { uploaded: 'uploaded_at', name: 'folded_name', size: 'size' } as const;
const PAGE = 50;
const BATCH = 100;
const ARRIVALS = 1_000;
const DAY_MS = 86_400_000;
/** The step from the row of one call to that of the next. */
const STRIDE = 7_919;

/** Finds the pages in the middle. */
export async function readMarks(database: TestDatabase, counts: Counts): Promise<Marks> {
  const deep: Partial<Record<FileSort, string>> = {};
  for (const [sort, column] of Object.entries(SORTS) as [FileSort, string][]) {
    const [row] = await database.run<{ value: string; id: string }>(`select ${column}::text as value, id from files
      where owner = '${OWNER}' order by ${column}, id offset ${Math.floor(counts.files * 0.35)} limit 1`);
    const value = sort === 'name' ? (row?.value ?? '') : Number(row?.value);
    deep[sort] = encodeCursor({ sort, descending: false }, { value, id: row?.id ?? '' });
  }
  return { ...counts, deep: deep as Marks['deep'] };
}

/** The calls by their names, in the order in which they are measured. */
export function callsOf(catalog: Catalog, marks: Marks): Record<string, Call> {
  return { ...lookups(catalog, marks), ...listings(catalog, marks), ...hearts(catalog), ...sweeps(catalog) };
}

function lookups(catalog: Catalog, { files, uploads }: Marks): Record<string, Call> {
  const uploadId = (i: number): string => toUuid(md5(`open ${1 + ((i * STRIDE) % uploads)}`));
  const isReceiving = (digest: string) =>
    catalog.findReceiving({ md5: digest, owner: OWNER, size: null, sha256: null, minOffset: 1 });
  return {
    'check: hit': async (i) => {
      const [content] = await catalog.findContents({ md5: md5(String(1 + ((i * STRIDE) % files))) });
      if (!content) throw new Error('a content is missing');
      await catalog.ownsContent(OWNER, content.id);
    },
    'check: miss': async (i) => {
      await catalog.findContents({ md5: md5(`absent ${i}`) });
      await isReceiving(md5(`absent ${i}`));
    },
    'check: uploading': (i) => isReceiving(md5(`open content ${1 + ((i * STRIDE) % uploads)}`)),
    'HEAD of an upload': async (i) => {
      if (!(await catalog.findUpload(uploadId(i)))) throw new Error('an upload is missing');
    },
    'total of an owner': () => catalog.totalOf(OWNER),
    'latest events': () => catalog.listEvents({ owner: OWNER, after: files / 10 - PAGE, limit: PAGE }),
  };
}

function listings(catalog: Catalog, { deep }: Marks): Record<string, Call> {
  const list = (query: Partial<FileQuery>): Call => {
    return () => catalog.listFiles({ owner: OWNER, limit: PAGE, sort: 'uploaded', descending: true, ...query });
  };
  const calls: Record<string, Call> = {};
  for (const sort of Object.keys(SORTS) as FileSort[]) {
    calls[`listing by ${sort}: first page`] = list({ sort, descending: sort !== 'name' });
    calls[`listing by ${sort}: a page in the middle`] = list({ sort, descending: false, cursor: deep[sort] });
  }
  for (const [sort, descending] of [
    ['uploaded', true],
    ['name', false],
  ] as const) {
    const search = (text: string, query: Partial<FileQuery> = {}) => list({ sort, descending, search: text, ...query });
    calls[`search by ${sort}: in one of 8`] = search('report');
    calls[`search by ${sort}: in one of 8, a page in the middle`] = search('report', {
      descending: false,
      cursor: deep[sort],
    });
    calls[`search by ${sort}: in one of 1,000`] = search('quarterly');
    calls[`search by ${sort}: in ten`] = search(RARE);
    calls[`search by ${sort}: in none`] = search(ABSENT);
    calls[`search by ${sort}: in none, of signs that are in many`] = search('pdf.tar');
  }
  calls['search by uploaded: in none, of another owner'] = list({ owner: 'owner 7', search: ABSENT });
  calls['search by uploaded: in none, two signs'] = list({ search: 'qx' });
  return calls;
}

function hearts(catalog: Catalog): Record<string, Call> {
  const ids = Array.from({ length: ARRIVALS }, (_, n) => toUuid(md5(`open ${1 + n}`)));
  return {
    'heart: beat': () => catalog.beatNode(NODE),
    // Each call is three seconds later than the one before, so that it writes every row.
    'heart: arrivals of 1,000 uploads': (i) =>
      catalog.noteArrivals(ids.map((id) => ({ id, epoch: 3, idleMs: DAY_MS / 2 - i * 3_000 }))),
  };
}

function sweeps(catalog: Catalog): Record<string, Call> {
  return {
    'sweep: expired uploads': () => catalog.listExpired(null, BATCH),
    'sweep: unpublished uploads': () => catalog.listUnpublished(null, BATCH),
    'sweep: whether uploads were abandoned': () => catalog.abandonedMark(),
    'sweep: abandoned uploads, after a node died': () => catalog.listAbandoned(null, BATCH),
    'sweep: uploads to discard': () => catalog.listUndiscarded('', BATCH),
    'sweep: ended uploads': () => catalog.forgetEnded(DAY_MS, BATCH),
    'sweep: removals': () => catalog.listRemovals(0, BATCH),
    'sweep: events': () => catalog.forgetEvents(DAY_MS, BATCH),
  };
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

/** The form in which PostgreSQL writes it. */
function toUuid(digits: string): string {
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
