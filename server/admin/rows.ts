/** Copies the rows of a catalog except those of moved contents, and continues where an interrupted move stopped. */
import type { Store } from '../../stores/store.ts';
import { SYSTEM } from '../../stores/surroundings.ts';
import { type Catalog, CatalogError } from '../catalog/catalog.ts';
import { COPIED, COPIED_TABLES, type CopiedRow, type CopiedTable, type RowKey } from '../catalog/rows.ts';

/** What `moveRows` works with. */
export interface RowsMove {
  source: Catalog;
  target: Catalog;
  /** Null: the bytes stay where they are, and rows about them are copied, too. */
  into: Store | null;
  signal: AbortSignal;
}

const PAGE_ROWS = 500;
/** Tables that describe bytes in the source's store. */
const OF_THE_STORE: ReadonlySet<CopiedTable> = new Set<CopiedTable>(['parts', 'removals']);

/** Copies the rows. @throws CatalogError where the numbers of rows, or the sizes of files, differ in the end. */
export async function moveRows(move: RowsMove): Promise<void> {
  const { source, target, into } = move;
  await fillContents(move);
  for (const table of COPIED_TABLES) {
    if (table === 'contents' || (into && OF_THE_STORE.has(table))) continue;
    await moveTable(move, table);
  }
  await target.rows.raiseCounters(await source.rows.counters());
  await requireAll(move);
}

/** Adds the rows of damaged contents: their files stay listed, and the next upload of the same bytes heals them. */
async function fillContents({ source, target, into, signal }: RowsMove): Promise<void> {
  if ((await source.rows.count('contents')) === (await target.rows.count('contents'))) return;
  const nothing = { size: 0, offset: 0, snapshot: null, storeState: null, filename: null, filetype: null };
  for await (const page of pagesOf(source, 'contents', null)) {
    signal.throwIfAborted();
    const keyed = page.map((content) => ({
      ...content,
      key: into ? into.keyFor({ ...nothing, id: SYSTEM.newId() }, content) : content.key,
    }));
    await target.rows.insert('contents', keyed);
  }
}

async function moveTable<Table extends CopiedTable>(move: RowsMove, table: Table): Promise<void> {
  const { source, target, into, signal } = move;
  for await (const page of pagesOf(source, table, await target.rows.lastKey(table))) {
    signal.throwIfAborted();
    if (table === 'uploads') {
      const endedAt = target.clock.latest();
      const uploads = (page as CopiedRow<'uploads'>[]).map((upload) =>
        into ? withoutBytes(upload, endedAt) : unrecovered(upload),
      );
      await target.rows.insert('uploads', uploads);
    } else await target.rows.insert(table, page);
  }
}

async function* pagesOf<Table extends CopiedTable>(
  { rows }: Catalog,
  table: Table,
  from: RowKey | null,
): AsyncIterable<CopiedRow<Table>[]> {
  for (let after = from; ;) {
    const page = await rows.list(table, after, PAGE_ROWS);
    const last = page.at(-1) as Record<string, string | number> | undefined;
    if (!last) return;
    yield page;
    after = COPIED[table].key.map((column) => last[column] as string | number);
  }
}

/** The new store has no bytes of it: an unfinished upload ends, so that its client begins a new one. */
function withoutBytes(upload: CopiedRow<'uploads'>, endedAt: number): CopiedRow<'uploads'> {
  const bare = { ...upload, store_state: null, snapshot: null };
  if (upload.state !== 'receiving') return bare;
  return { ...bare, state: 'expired', phase: null, ended_at: endedAt };
}

/**
 * Makes the next service recover an unfinished upload. A service that is alone on its catalog recovers the uploads of an
 * earlier process in any case; nodes that share a catalog do so only where the row says `unrecovered`.
 */
function unrecovered(upload: CopiedRow<'uploads'>): CopiedRow<'uploads'> {
  return upload.state === 'receiving' ? { ...upload, phase: 'unrecovered' } : upload;
}

async function requireAll({ source, target, into }: RowsMove): Promise<void> {
  for (const table of COPIED_TABLES) {
    const [wanted, found] = [await source.rows.count(table), await target.rows.count(table)];
    const isLeftOut = into && OF_THE_STORE.has(table);
    if (!isLeftOut && wanted !== found)
      throw new CatalogError('failed', `the target has ${found} rows of ${table}, and the source ${wanted}`);
  }
  const [wanted, found] = [await source.rows.sumSizes('files'), await target.rows.sumSizes('files')];
  if (wanted !== found) throw new CatalogError('failed', `the target's files have ${found} bytes, and not ${wanted}`);
}
