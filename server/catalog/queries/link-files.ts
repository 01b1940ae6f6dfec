/** The files of links. */
import type { Compilable, Kysely } from 'kysely';
import type { Catalog } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { type FileRow, selectFiles, toFileRecord } from './file-rows.ts';
import { type Executor, type Prepared, prepare } from './prepare.ts';

/** As many ids as are in one statement. */
const MOST_IDS = 256;

type Values = Record<string, string | number>;

/** Prepares the queries on the files of links. */
export function createLinkFiles(db: Kysely<Tables>): Pick<Catalog, 'listLinkFiles' | 'findLinkFile'> {
  const selectAll = prepare((by: { id: string }) =>
    selectFiles(db)
      .innerJoin('link_files', 'link_files.file_id', 'files.id')
      .select('link_files.position')
      .where('link_files.link_id', '=', by.id)
      .orderBy('link_files.position'),
  );
  const selectOne = prepare((by: { id: string; position: number }) =>
    selectFiles(db)
      .innerJoin('link_files', 'link_files.file_id', 'files.id')
      .where('link_files.link_id', '=', by.id)
      .where('link_files.position', '=', by.position),
  );

  return {
    async listLinkFiles(id) {
      const rows: (FileRow & { position: number })[] = await selectAll.rows(db, { id });
      return rows.map(({ position, ...file }) => ({ position, file: toFileRecord(file) }));
    },

    async findLinkFile(id, position) {
      const row = await selectOne.first(db, { id, position });
      return row && toFileRecord(row);
    },
  };
}

/** Prepares the search for the first of some files that is not the owner's. The others stay locked. */
export function prepareMissingFile(db: Kysely<Tables>, { locked }: QueryDialect) {
  const bySize = prepareBySize((by, count) =>
    // In one order, so that two transactions do not wait for each other.
    locked(
      db
        .selectFrom('files')
        .select(['id', 'owner'])
        .where(
          'id',
          'in',
          listOf(count, (index) => by[`id${index}`] as string),
        )
        .orderBy('id'),
    ),
  );

  return async function missingFile(
    executor: Executor,
    ids: readonly string[],
    owner: string,
  ): Promise<string | undefined> {
    const found = new Set<string>();
    // Also in one order over several statements.
    for (const some of batches(ids.toSorted(), MOST_IDS)) {
      const { query, at } = bySize(some.length);
      const rows = await query.rows(
        executor,
        valuesOf(at, (index) => ({ id: some[index] ?? '' })),
      );
      // Not a condition of the query: with many ids, SQLite would rather read all files of the owner.
      for (const row of rows) if (row.owner === owner) found.add(row.id);
    }
    return ids.find((id) => !found.has(id));
  };
}

/** Prepares the deletion of a link's files from it. */
export function prepareDeleteLinkFiles(db: Kysely<Tables>): Prepared<{ id: string }, unknown> {
  return prepare((by: { id: string }) => db.deleteFrom('link_files').where('link_id', '=', by.id));
}

/** Prepares the insertion of a link's files, in order. */
export function prepareInsertLinkFiles(db: Kysely<Tables>) {
  const bySize = prepareBySize((by, count) =>
    db
      .insertInto('link_files')
      .values(
        listOf(count, (index) => ({
          link_id: by['linkId'] as string,
          position: by[`position${index}`] as number,
          file_id: by[`id${index}`] as string,
        })),
      )
      // Of those that are repeated.
      .onConflict((conflict) => conflict.doNothing()),
  );

  return async function insertFiles(executor: Executor, linkId: string, ids: readonly string[]): Promise<void> {
    for (const [number, some] of batches(ids, MOST_IDS).entries()) {
      const { query, at } = bySize(some.length);
      const values = valuesOf(at, (index) => ({
        id: some[index] ?? '',
        position: number * MOST_IDS + index + 1,
      }));
      await query.changes(executor, { linkId, ...values });
    }
  };
}

/**
 * Prepares a query for each number of ids, up to a power of two, so that there are few different statements. `at` says which
 * of the ids each place gets: the last one is repeated.
 */
function prepareBySize<Row>(build: (by: Values, count: number) => Compilable<Row>) {
  const prepared = new Map<number, Prepared<Values, Row>>();

  return function bySize(length: number): { query: Prepared<Values, Row>; at: number[] } {
    const count = 2 ** Math.ceil(Math.log2(length));
    const query = prepared.get(count) ?? prepare<Values, Row>((by) => build(by, count));
    prepared.set(count, query);
    return { query, at: listOf(count, (index) => Math.min(index, length - 1)) };
  };
}

function valuesOf(at: readonly number[], fields: (index: number) => Values): Values {
  const values: Values = {};
  at.forEach((index, place) => {
    for (const [name, value] of Object.entries(fields(index))) values[`${name}${place}`] = value;
  });
  return values;
}

function listOf<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

function batches<T>(all: readonly T[], size: number): T[][] {
  return listOf(Math.ceil(all.length / size), (index) => all.slice(index * size, (index + 1) * size));
}
