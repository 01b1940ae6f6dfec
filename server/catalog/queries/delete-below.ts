/** Deletes the files below a folder that were there at the start, some in each transaction. */
import { type Kysely, sql } from 'kysely';
import type { Catalog, DeletedBelow } from '../catalog.ts';
import { decodeFields, encodeFields, invalidCursor, type Position } from '../cursor.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { type FileRow, selectFiles, treeOf } from './file-rows.ts';
import { prepareNextWay, readWay, type Way, writeWay } from './folder-walk.ts';
import { prepareFindFolders } from './folders.ts';
import { createListFolders } from './list-folder.ts';
import { type Executor, prepare } from './prepare.ts';
import { type FateOfFile, prepareRemoveFile } from './remove-file.ts';
import type { FolderDeletion } from './trash-rows.ts';

/** The most files of one transaction: more would block the main thread for too long. */
const MOST = 64;
/** How many folders one call looks at. */
const MOST_LOOKED_AT = 100;

/** Which folder is deleted, since when, and how far. */
interface Place {
  root: number;
  startedAt: number;
  way: Way;
  /** Of the folder at the end of the way, the last file that was looked at. */
  after: Position | undefined;
}

/** Prepares `deleteBelow`. */
export function createDeleteBelow(
  db: Kysely<Tables>,
  dialect: QueryDialect,
  clock: SqlClock,
): Pick<Catalog, 'deleteBelow'> {
  const findFolders = prepareFindFolders(db);
  const removeFile = prepareRemoveFile(db, clock);
  const findSome = prepareFindSome(db);
  const readClock = prepare(() => db.selectNoFrom(sql<number>`cast(${clock.wall} as bigint)`.as('now')));

  /** Locks contents, then files, each in the order of their ids, and reads the files as they are then. */
  async function hold(trx: Executor, owner: string, ids: readonly string[]): Promise<FileRow[]> {
    const some = selectFiles(db).where('files.id', 'in', ids).where('files.owner', '=', owner);
    await trx.executeQuery(dialect.locked(some.orderBy('contents.id'), ['contents']).compile());
    await trx.executeQuery(dialect.locked(some.orderBy('files.id'), ['files']).compile());
    // Whatever moves a file to another folder, or a folder, ends before this.
    await dialect.hold(trx, treeOf(owner), 'shared');
    return (await trx.executeQuery(some.compile())).rows;
  }

  /** Deletes those of the files that are still below the path. */
  function deleteSome(
    owner: string,
    path: string,
    ids: readonly string[],
    fate: FateOfFile,
  ): Promise<Omit<DeletedBelow, 'nextCursor'>> {
    return db.transaction().execute(async (trx) => {
      const deleted: Omit<DeletedBelow, 'nextCursor'> = { files: 0, bytes: 0, removed: [] };
      for (const row of await hold(trx, owner, ids)) {
        if (!`${row.folderPath}/`.startsWith(`${path}/`)) continue;
        const removed = await removeFile(trx, row, fate);
        deleted.files += 1;
        deleted.bytes += row.size;
        if (removed) deleted.removed.push(removed);
      }
      return deleted;
    });
  }

  async function begin(root: number): Promise<Place> {
    const startedAt = (await readClock.first(db, {}))?.now ?? 0;
    return { root, startedAt, way: [], after: undefined };
  }

  return {
    async deleteBelow(owner, path, cursor, fate = 'gone') {
      const from = cursor === undefined ? undefined : readPlace(cursor);
      const folder = (await findFolders(db, owner, path.split('/')))?.at(-1);
      const none: DeletedBelow = { files: 0, bytes: 0, removed: [], nextCursor: null };
      // Its last file is gone, or the path is another folder's now.
      if (from && folder?.id !== from.root)
        return fate === 'gone' ? none : { ...none, deletion: deletionOf(from, path).id };
      if (!folder) return undefined;
      const place = from ?? (await begin(folder.id));
      const { ids, next } = await findSome(owner, place);
      const folderDeletion = fate === 'gone' ? null : deletionOf(place, path);
      const deleted = ids.length === 0 ? none : await deleteSome(owner, path, ids, folderDeletion ?? 'gone');
      const told = folderDeletion ? { deletion: folderDeletion.id } : {};
      return { ...deleted, ...told, nextCursor: next && writePlace(next) };
    },
  };
}

/** Prepares the search for the next files to delete, and the place after them; null after the last one. */
function prepareFindSome(db: Kysely<Tables>) {
  const nextWay = prepareNextWay(createListFolders(db));

  type SomeOf = { owner: string; folderId: number; until: number; afterTime: number; afterId: string; count: number };
  const selectSome = prepare((by: SomeOf) =>
    db
      .selectFrom('files')
      .select(['id', 'uploaded_at as value'])
      .where('folder_id', '=', by.folderId)
      // A cursor that was made up may name a folder of somebody else.
      .where(sql<boolean>`coalesce(owner, '') = ${by.owner}`)
      .where('uploaded_at', '<=', by.until)
      .where(sql<boolean>`(uploaded_at, id) > (${by.afterTime}, ${by.afterId})`)
      .orderBy('uploaded_at')
      .orderBy('id')
      .limit(by.count),
  );

  return async function findSome(owner: string, from: Place): Promise<{ ids: string[]; next: Place | null }> {
    const ids: string[] = [];
    let { way, after } = from;
    for (let looked = 0; looked < MOST_LOOKED_AT; looked++) {
      const folderId = way.at(-1)?.id ?? from.root;
      const count = MOST - ids.length;
      const [afterTime, afterId] = [Number(after?.value ?? -1), after?.id ?? ''];
      const some = await selectSome.rows(db, { owner, folderId, until: from.startedAt, afterTime, afterId, count });
      ids.push(...some.map(({ id }) => id));
      after = some.at(-1) ?? after;
      if (some.length === count) break;
      const found = await nextWay(owner, from.root, way);
      if (!found) return { ids, next: null };
      way = found;
      after = undefined;
    }
    return { ids, next: { ...from, way, after } };
  };
}

/** What the deletion is called in the trash, whichever requests it takes: no other folder has the id, and it has one start. */
function deletionOf({ root, startedAt }: Place, path: string): FolderDeletion {
  return { id: `${root}-${startedAt}`, depth: path.split('/').length };
}

const KIND = ['delete'];

function writePlace({ root, startedAt, way, after }: Place): string {
  return encodeFields(KIND, [root, startedAt, writeWay(way), after?.value ?? null, after?.id ?? null]);
}

function readPlace(cursor: string): Place {
  const [root, startedAt, way, value, id, ...more] = decodeFields(KIND, cursor);
  const isPlace = Number.isSafeInteger(value) ? typeof id === 'string' : value === null && id === null;
  if (!Number.isSafeInteger(root) || !Number.isSafeInteger(startedAt) || !isPlace || more.length > 0)
    throw invalidCursor('it is not one of this service');
  const after = value === null ? undefined : { value: value as number, id: id as string };
  return { root: root as number, startedAt: startedAt as number, way: readWay(way), after };
}
