/** Moves or renames a folder, with all below it: one row changes, and the totals of the folders that it leaves and comes into. */
import { type Kysely, sql } from 'kysely';
import { MAX_FOLDER_BYTES, MAX_FOLDERS, MAX_PATH_BYTES, splitPath } from '../../wire/paths.ts';
import { foldName } from '../../wire/fold-name.ts';
import type { Catalog, MoveOutcome } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepareInsertMove } from './events.ts';
import { treeOf } from './file-rows.ts';
import { type FolderRow, prepareFindFolders, prepareTakeFolders, TOP } from './folders.ts';
import { type Executor, prepare } from './prepare.ts';

/** The longest name of a file in its folder, in bytes: 255 characters of four. */
const LONGEST_NAME_BYTES = 1_020;

/** Prepares `moveFolder`. */
export function createMoveFolder(
  db: Kysely<Tables>,
  dialect: QueryDialect,
  clock: SqlClock,
): Pick<Catalog, 'moveFolder'> {
  const findFolders = prepareFindFolders(db);
  const takeFolders = prepareTakeFolders(db, dialect);
  const fits = prepareFits(db);
  const insertMove = prepareInsertMove(db, clock);

  const count = prepare((by: { id: number; files: number; bytes: number }) =>
    db
      .updateTable('folders')
      .set((eb) => ({ files: eb('files', '+', by.files), bytes: eb('bytes', '+', by.bytes) }))
      .where('id', '=', by.id),
  );
  const move = prepare((by: { id: number; parentId: number; name: string; folded: string }) =>
    db
      .updateTable('folders')
      .set({ parent_id: by.parentId, name: by.name, folded_name: by.folded })
      .where('id', '=', by.id),
  );
  const deleteEmpty = prepare((by: { id: number }) =>
    db.deleteFrom('folders').where('id', '=', by.id).where('files', '=', sql.lit(0)),
  );

  async function countIn(trx: Executor, ids: readonly number[], { files, bytes }: Pick<FolderRow, 'files' | 'bytes'>) {
    for (const id of ids) await count.changes(trx, { id, files, bytes });
  }

  async function moveWithin(trx: Executor, owner: string, from: string, to: string): Promise<MoveOutcome> {
    const chain = await findFolders(trx, owner, from.split('/'));
    const folder = chain?.at(-1);
    if (!chain || !folder) return { kind: 'not_found' };
    const { files, bytes } = folder;
    const moved: MoveOutcome = { kind: 'moved', folder: { path: to, files, bytes } };
    if (from === to) return moved;
    if (to.startsWith(`${from}/`)) return { kind: 'inside' };
    if (await findFolders(trx, owner, to.split('/'))) return { kind: 'taken' };
    if (!(await fits(trx, { owner, id: folder.id }, from, to))) return { kind: 'too_long' };
    const { folders, name } = splitPath(to);
    const parents = await takeFolders(trx, owner, folders);
    await move.changes(trx, { id: folder.id, parentId: parents.at(-1) ?? TOP, name, folded: foldName(name) });
    await countIn(trx, parents, { files, bytes });
    const left = chain.slice(0, -1).map(({ id }) => id);
    await countIn(trx, left, { files: -files, bytes: -bytes });
    for (const id of left.toReversed()) await deleteEmpty.changes(trx, { id });
    await insertMove(trx, owner, from, to);
    return moved;
  }

  return {
    moveFolder(owner, from, to) {
      return db.transaction().execute(async (trx) => {
        await dialect.hold(trx, treeOf(owner), 'alone');
        return moveWithin(trx, owner, from, to);
      });
    },
  };
}

/** Prepares the question whether the paths below a folder that moves stay within the limits. */
function prepareFits(db: Kysely<Tables>) {
  // Each folder below, with what its path has beyond that of the moved one.
  const below = (by: { owner: string; id: number }) => sql`with recursive below (id, depth, bytes) as (
    select id, 0, 0 from folders where id = ${by.id}
    union all
    select folders.id, below.depth + 1, below.bytes + 1 + octet_length(folders.name)
      from below join folders on folders.owner = ${by.owner} and folders.parent_id = below.id
  )`;
  type Extents = { depth: number; bytes: number };
  const measure = prepare((by: { owner: string; id: number }) => {
    const query = sql<Extents>`${below(by)} select max(depth) as depth, max(bytes) as bytes from below`;
    return { compile: () => query.compile(db) };
  });
  const findTooLong = prepare((by: { owner: string; id: number; beyondFolders: number; beyondNames: number }) => {
    const query = sql<{ id: string }>`${below(by)} select files.id from below join files on files.folder_id = below.id
      where below.bytes > ${by.beyondFolders} and below.bytes + octet_length(files.name) > ${by.beyondNames} limit 1`;
    return { compile: () => query.compile(db) };
  });

  return async function fits(trx: Executor, by: { owner: string; id: number }, from: string, to: string) {
    const [before, after] = [extentOf(from), extentOf(to)];
    // What fitted before fits again.
    if (after.bytes <= before.bytes && after.depth <= before.depth) return true;
    const most = (await measure.first(trx, by)) ?? { depth: 0, bytes: 0 };
    if (after.depth + most.depth > MAX_FOLDERS || after.bytes + most.bytes > MAX_FOLDER_BYTES) return false;
    const beyondNames = MAX_PATH_BYTES - after.bytes - 1;
    const beyondFolders = beyondNames - LONGEST_NAME_BYTES;
    if (most.bytes <= beyondFolders) return true;
    return (await findTooLong.first(trx, { ...by, beyondFolders, beyondNames })) === undefined;
  };
}

function extentOf(path: string): { depth: number; bytes: number } {
  return { depth: path.split('/').length, bytes: Buffer.byteLength(path) };
}
