/** Reads and writes rows as they are stored. These queries run rarely, so that none is prepared. */
import { type Kysely, sql } from 'kysely';
import { joinPath, lastPart } from '../../wire/paths.ts';
import type { QueryDialect } from '../dialect.ts';
import { type CatalogRows, COPIED, type CopiedRow, type CopiedTable, OWN_META, type RowKey } from '../rows.ts';
import type { Tables } from '../schema.ts';
import { FOLDER_PATH } from './file-rows.ts';
import { RECEIVING } from './states.ts';

/** The queries on rows, for `tidemark admin`; see `CatalogRows`. */
export function createRows(db: Kysely<Tables>, { counters, givenIds }: QueryDialect): CatalogRows {
  const names = (columns: readonly string[]) => sql.join(columns.map((column) => sql.ref(column)));

  async function numberOf(query: ReturnType<typeof sql<{ found: number }>>): Promise<number> {
    return (await query.execute(db)).rows[0]?.found ?? 0;
  }

  return {
    async list<Table extends CopiedTable>(table: Table, after: RowKey | null, limit: number) {
      const { columns, key } = COPIED[table];
      const from = after === null ? sql`` : sql`where (${names(key)}) > (${sql.join(after)})`;
      const query = sql<CopiedRow<Table>>`select ${names(columns)} from ${sql.table(table)} ${from}
        order by ${names(key)} limit ${limit}`;
      return (await query.execute(db)).rows;
    },

    async lastKey(table) {
      const { key } = COPIED[table];
      const order = sql.join(key.map((column) => sql`${sql.ref(column)} desc`));
      const query = sql<Record<string, string | number>>`select ${names(key)} from ${sql.table(table)}
        order by ${order} limit 1`;
      const [found] = (await query.execute(db)).rows;
      return found ? key.map((column) => found[column] as string | number) : null;
    },

    async insert(table, rows) {
      if (rows.length === 0) return;
      const columns: readonly string[] = COPIED[table].columns;
      const values = rows.map((row) => {
        const fields = row as Readonly<Record<string, unknown>>;
        return sql`(${sql.join(columns.map((column) => fields[column]))})`;
      });
      await sql`insert into ${sql.table(table)} (${names(columns)}) ${givenIds} values ${sql.join(values)}
        on conflict do nothing`.execute(db);
    },

    count: (table) => numberOf(sql`select count(*) as found from ${sql.table(table)}`),

    sumSizes: (table) => numberOf(sql`select cast(coalesce(sum(size), 0) as bigint) as found from ${sql.table(table)}`),

    filesOf: (contentId, limit) => filesOf(db, contentId, limit),

    countReceiving: () => numberOf(sql`select count(*) as found from uploads where state = ${RECEIVING}`),

    async uploadsOf(owner) {
      const found = await db.selectFrom('uploads').select('id').where('owner', '=', owner).execute();
      return found.map(({ id }) => id);
    },

    async removeUploads(ids) {
      if (ids.length > 0) await db.deleteFrom('uploads').where('id', 'in', ids).execute();
    },

    listMeta: () => db.selectFrom('meta').select(['key', 'value']).where('key', 'not in', OWN_META).execute(),

    async setMeta(values) {
      await db.transaction().execute(async (trx) => {
        for (const [key, value] of Object.entries(values)) {
          await trx.deleteFrom('meta').where('key', '=', key).execute();
          if (value !== null) await trx.insertInto('meta').values({ key, value }).execute();
        }
      });
    },

    counters: () => counters.read(db),
    raiseCounters: (given) => counters.raise(db, given),
  };
}

/** The files of a content, and then those in the trash. */
async function filesOf(db: Kysely<Tables>, contentId: number, limit: number): ReturnType<CatalogRows['filesOf']> {
  const found = await db
    .selectFrom('files')
    .select(['id', 'owner', 'name', 'type', FOLDER_PATH.as('folderPath')])
    .where('content_id', '=', contentId)
    .orderBy('uploaded_at')
    .orderBy('id')
    .limit(limit)
    .execute();
  const files = found.map(({ folderPath, ...file }) => ({ ...file, path: joinPath(folderPath, file.name) }));
  const trashed = await db
    .selectFrom('trash')
    .select(['id', 'owner', 'name as path', 'type'])
    .where('content_id', '=', contentId)
    .orderBy('uploaded_at')
    .orderBy('id')
    .limit(Math.max(0, limit - files.length))
    .execute();
  return [...files, ...trashed.map((file) => ({ ...file, name: lastPart(file.path) }))];
}
