/** Folders: found by their paths, and taken for a file that comes into them. */
import type { Kysely } from 'kysely';
import { foldName } from '../../wire/fold-name.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { treeOf } from './file-rows.ts';
import { type Executor, prepare } from './prepare.ts';

/** The parent of the folders at the top. */
export const TOP = 0;

/** A folder's row, as far as the queries need it. */
export interface FolderRow {
  id: number;
  name: string;
  folded: string;
  files: number;
  bytes: number;
}

/** The columns of a FolderRow. */
export const FOLDER_ROW = ['id', 'name', 'folded_name as folded', 'files', 'bytes'] as const;

type Child = { owner: string; parentId: number; name: string };

/** Prepares the search for a folder in its parent. */
export function prepareSelectChild(db: Kysely<Tables>) {
  return prepare((by: Child) => childOf(db, by));
}

/** Prepares the search along a path. */
export function prepareFindFolders(db: Kysely<Tables>) {
  const selectChild = prepareSelectChild(db);

  /** The folders of a path, from the top down; undefined where one of them is not there. */
  return async function findFolders(
    executor: Executor,
    owner: string,
    names: readonly string[],
  ): Promise<FolderRow[] | undefined> {
    const found: FolderRow[] = [];
    for (const name of names) {
      const child = await selectChild.first(executor, { owner, parentId: found.at(-1)?.id ?? TOP, name });
      if (!child) return undefined;
      found.push(child);
    }
    return found;
  };
}

/** Prepares the step of a transaction that brings a file, or a folder, into a folder. */
export function prepareTakeFolders(db: Kysely<Tables>, { locked, hold }: QueryDialect) {
  const lockChild = prepare((by: Child) => locked(childOf(db, by)));

  // Another transaction may have made it meanwhile, or its last file may be gone.
  const makeChild = prepare((by: Child & { folded: string }) =>
    db
      .insertInto('folders')
      .values({ owner: by.owner, parent_id: by.parentId, name: by.name, folded_name: by.folded })
      .onConflict((conflict) =>
        conflict.columns(['owner', 'parent_id', 'name']).doUpdateSet((eb) => ({ files: eb.ref('folders.files') })),
      )
      .returning('id'),
  );

  /** The ids of these folders, from the top down. Makes those that are missing, and locks all. */
  return async function takeFolders(trx: Executor, owner: string, names: readonly string[]): Promise<number[]> {
    const taken: number[] = [];
    if (names.length > 0) await hold(trx, treeOf(owner), 'shared');
    for (const name of names) {
      const child = { owner, parentId: taken.at(-1) ?? TOP, name };
      const row =
        (await lockChild.first(trx, child)) ?? (await makeChild.first(trx, { ...child, folded: foldName(name) }));
      taken.push(row?.id ?? TOP);
    }
    return taken;
  };
}

function childOf(db: Kysely<Tables>, by: Child) {
  return db
    .selectFrom('folders')
    .select(FOLDER_ROW)
    .where('owner', '=', by.owner)
    .where('parent_id', '=', by.parentId)
    .where('name', '=', by.name);
}
