/** What an owner has: files, trash and unfinished uploads. */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { QuotaMethods, Usage } from '../quotas.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { type Executor, prepare } from './prepare.ts';
import { RECEIVING } from './states.ts';

interface TotalsRow {
  files: number;
  bytes: number;
  trashedFiles: number;
  trashedBytes: number;
}

interface UploadsRow {
  open: number;
  openFiles: number;
  openBytes: number;
}

/** The bytes that an upload takes up by itself. */
function bytesOf(row: 'uploads' | 'partial'): RawBuilder<number> {
  const upload = sql.raw(row);
  const length = sql`coalesce(${upload}.size, ${upload}.expected_size, 0)`;
  return sql`case when ${length} > ${upload}."offset" then ${length} else ${upload}."offset" end`;
}

/** The bytes of a final, as far as they are known: of all its partials, those that are in it twice counted twice. */
const BYTES_OF_PARTIALS = sql`(select cast(sum(${bytesOf('partial')}) as bigint) from final_partials
  join uploads as partial on partial.id = final_partials.partial_id where final_partials.final_id = uploads.id)`;

/**
 * A final counts in place of its partials, and the file that it becomes does so, too. Not EXISTS: PostgreSQL would read all
 * partials of everybody once, in place of those of a few uploads.
 */
const IS_JOINED = sql`(select 1 from final_partials
  join uploads as final on final.id = final_partials.final_id
  where final_partials.partial_id = uploads.id and final.state in (${RECEIVING}, 'complete') limit 1) is not null`;

/** The columns of files and trash: of totals that are kept. */
function totalsOf(owner: string): RawBuilder<unknown> {
  const total = (table: string, column: string) =>
    sql`coalesce((select ${sql.ref(column)} from ${sql.table(table)} where owner = ${owner}), 0)`;
  return sql`${total('owner_totals', 'files')} as files, ${total('owner_totals', 'bytes')} as bytes,
    ${total('trash_totals', 'files')} as "trashedFiles", ${total('trash_totals', 'bytes')} as "trashedBytes"`;
}

/** The columns of unfinished uploads. */
function sumsOfUploads(clock: SqlClock): RawBuilder<unknown> {
  // Partials that were joined expire: they are removed within a minute.
  const counted = sql`case kind
    when 'partial' then case when expires_at <= ${clock.earliest} or ${IS_JOINED} then 0 else ${bytesOf('uploads')} end
    when 'final' then coalesce(size, ${BYTES_OF_PARTIALS}, 0)
    else ${bytesOf('uploads')} end`;
  return sql`count(*) as "open",
    cast(coalesce(sum(case kind when 'partial' then 0 else 1 end), 0) as bigint) as "openFiles",
    cast(coalesce(sum(${counted}), 0) as bigint) as "openBytes"`;
}

function unfinishedOf(owner: string): RawBuilder<unknown> {
  return sql`uploads where owner = ${owner} and state = ${RECEIVING}`;
}

/**
 * Prepares a query that costs the more the more unfinished uploads the owner has; files cost nothing. One statement, for use within a
 * transaction.
 */
export function prepareUsage(
  db: Kysely<Tables>,
  clock: SqlClock,
): (executor: Executor, owner: string) => Promise<Usage> {
  const select = prepare<{ owner: string }, TotalsRow & UploadsRow>((by) => {
    const { owner } = by;
    const query = sql<
      TotalsRow & UploadsRow
    >`select ${totalsOf(owner)}, ${sumsOfUploads(clock)} from ${unfinishedOf(owner)}`;
    return { compile: () => query.compile(db) };
  });

  return async (executor, owner) => {
    const row = await select.first(executor, { owner });
    if (!row) throw new Error('sums have no row');
    return usageFrom(row, row);
  };
}

function usageFrom(totals: TotalsRow, { open, openFiles, openBytes }: UploadsRow): Usage {
  return {
    files: { files: totals.files, bytes: totals.bytes },
    trash: { files: totals.trashedFiles, bytes: totals.trashedBytes },
    uploads: { open, files: openFiles, bytes: openBytes },
  };
}

/**
 * Prepares `usageOf`. Uploads are summed up beside the main thread: an owner may have many. What is published between the two
 * statements is in neither; no change is let in by this.
 */
export function createUsageQueries(db: Kysely<Tables>, clock: SqlClock): QuotaMethods {
  const selectTotals = prepare<{ owner: string }, TotalsRow>((by) => {
    const query = sql<TotalsRow>`select ${totalsOf(by.owner)}`;
    return { compile: () => query.compile(db) };
  });
  const selectUploads = prepare<{ owner: string }, UploadsRow>(
    (by) => {
      const query = sql<UploadsRow>`select ${sumsOfUploads(clock)} from ${unfinishedOf(by.owner)}`;
      return { compile: () => query.compile(db) };
    },
    { aside: true },
  );
  return {
    async usageOf(owner) {
      const totals = await selectTotals.first(db, { owner });
      const uploads = await selectUploads.first(db, { owner });
      if (!totals || !uploads) throw new Error('sums have no row');
      return usageFrom(totals, uploads);
    },
  };
}
