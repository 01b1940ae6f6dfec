/**
 * How often a node has left, or released an upload unrecovered: the count tells when to look for abandoned uploads. No index
 * finds them, as each lease would then have to write to all indexes of its row (docs/decisions/0061).
 */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Tables } from '../schema.ts';
import { type Executor, prepare } from './prepare.ts';

/** The key of the count in `meta`. */
const KEY = 'left_behind';

export interface LeftBehind {
  /** Counts one more. To be called where other nodes can see by then what was left, or in the same transaction. */
  note(executor: Executor): Promise<void>;
  read(): Promise<string>;
}

/** Prepares the count. In a catalog that only one process has open, there is none: nobody would read it. */
export function createLeftBehind(db: Kysely<Tables>, { isShared }: { isShared: boolean }): LeftBehind {
  const upsert = prepare(
    (row: { key: string }) =>
      db
        .insertInto('meta')
        .values({ key: row.key, value: '1' })
        .onConflict((conflict) =>
          conflict.column('key').doUpdateSet({ value: sql<string>`cast(cast(meta.value as bigint) + 1 as text)` }),
        ),
    { relaxed: true },
  );
  const select = prepare((by: { key: string }) => db.selectFrom('meta').select('value').where('key', '=', by.key));
  return {
    async note(executor) {
      if (isShared) await upsert.changes(executor, { key: KEY });
    },

    async read() {
      return (await select.first(db, { key: KEY }))?.value ?? '0';
    },
  };
}
