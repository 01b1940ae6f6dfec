/** Deletes files below a folder, some in each transaction. */
import { type Kysely, sql } from 'kysely';
import type { Catalog, DeletedBelow, RemovedContent } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { type FileRow, selectFiles, treeOf } from './file-rows.ts';
import { prepareFindFolders } from './folders.ts';
import { type Executor, prepare } from './prepare.ts';
import { prepareRemoveFile } from './remove-file.ts';

/** The most files of one transaction: more would block the main thread for too long. */
const MOST = 64;

/** Prepares `deleteBelow`. */
export function createDeleteBelow(
  db: Kysely<Tables>,
  dialect: QueryDialect,
  clock: SqlClock,
): Pick<Catalog, 'deleteBelow'> {
  const findFolders = prepareFindFolders(db);
  const removeFile = prepareRemoveFile(db, clock);

  // Of the first folders with files: those in which there are none themselves are passed over.
  const selectSome = prepare((by: { owner: string; id: number }) => {
    const query = sql<{ id: string }>`with recursive below (id) as (
      select id from folders where id = ${by.id}
      union all
      select folders.id from below join folders on folders.owner = ${by.owner} and folders.parent_id = below.id
    ) select files.id from below join files on files.folder_id = below.id limit ${sql.lit(MOST)}`;
    return { compile: () => query.compile(db) };
  });

  /** Locks contents and files, each in the order of their ids, and reads the files as they are then. */
  async function hold(trx: Executor, owner: string, ids: readonly string[]): Promise<FileRow[]> {
    const some = selectFiles(db).where('files.id', 'in', ids).where('files.owner', '=', owner);
    const locking = dialect.locked(some.orderBy('contents.id').orderBy('files.id'), ['contents', 'files']);
    await trx.executeQuery(locking.compile());
    // Whatever moves a file to another folder, or a folder, ends before this.
    await dialect.hold(trx, treeOf(owner), 'shared');
    return (await trx.executeQuery(some.compile())).rows;
  }

  return {
    deleteBelow(owner, path) {
      return db.transaction().execute(async (trx) => {
        const folder = (await findFolders(trx, owner, path.split('/')))?.at(-1);
        if (!folder) return undefined;
        const ids = (await selectSome.rows(trx, { owner, id: folder.id })).map(({ id }) => id);
        const deleted: DeletedBelow = { files: 0, bytes: 0, removed: [] };
        for (const row of await hold(trx, owner, ids)) {
          if (!`${row.folderPath}/`.startsWith(`${path}/`)) continue;
          const removed: RemovedContent | null = await removeFile(trx, row);
          deleted.files += 1;
          deleted.bytes += row.size;
          if (removed) deleted.removed.push(removed);
        }
        return deleted;
      });
    },
  };
}
