/** The steps of a transaction that adds a file: its folders, its name, and what becomes of another file that has the name. */
import type { Kysely } from 'kysely';
import { joinPath, splitPath } from '../../wire/paths.ts';
import type { ContentRecord, NewFile, Placed } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepareHoldContent } from './contents.ts';
import { prepareInsertEvent } from './events.ts';
import { prepareHoldFile, prepareInsertFile, prepareLockFile } from './file-rows.ts';
import { prepareFindFolders, prepareTakeFolders } from './folders.ts';
import { type Place, prepareNames } from './free-name.ts';
import type { Executor } from './prepare.ts';
import { prepareRemoveFile } from './remove-file.ts';

/** Prepares the steps. */
export function preparePlaceFile(db: Kysely<Tables>, dialect: QueryDialect, clock: SqlClock) {
  const findFolders = prepareFindFolders(db);
  const takeFolders = prepareTakeFolders(db, dialect);
  const names = prepareNames(db, dialect);
  const holdContent = prepareHoldContent(db, dialect);
  const lockFile = prepareLockFile(db, dialect);
  const holdFile = prepareHoldFile(db, dialect);
  const insertFile = prepareInsertFile(db, clock);
  const removeFile = prepareRemoveFile(db, clock);
  const insertEvent = prepareInsertEvent(db, clock);

  /**
   * Locks the file that `place` will replace, and its content: before the folders. Contents are locked in the order of their ids.
   *
   * @param joined - the content to which the file is added, unless that is a new one.
   */
  async function foresee(
    trx: Executor,
    { owner, name: path, onConflict }: NewFile,
    joined: number | undefined,
  ): Promise<void> {
    if (onConflict !== 'replace') return;
    const { folders, name } = splitPath(path);
    const found = await findFolders(trx, owner, folders);
    if (!found) return;
    const at = { owner, folderId: found.at(-1)?.id ?? null, folderPath: null };
    const replaced = await names.findLatest(trx, at, name);
    if (!replaced) return;
    if (joined !== undefined && joined < replaced.contentId) await holdContent.first(trx, { id: joined });
    await lockFile.first(trx, { id: replaced.id, owner });
  }

  async function place(trx: Executor, file: NewFile, content: ContentRecord): Promise<Placed> {
    const { owner } = file;
    const { folders, name } = splitPath(file.name);
    const folderId = (await takeFolders(trx, owner, folders)).at(-1) ?? null;
    const at: Place = { owner, folderId, folderPath: folders.length > 0 ? folders.join('/') : null };
    await names.holdName(trx, at, name);
    const replaces = file.onConflict === 'replace';
    const { same, isTaken } = await names.findSame(trx, at, name, content.id, replaces);
    if (same) return { file: same, removed: null };
    const replaced = isTaken && replaces ? await names.findLatest(trx, at, name) : undefined;
    const freeName = isTaken && !replaced ? await names.freeName(trx, at, name) : name;
    const added = await insertFile(trx, { ...file, name: joinPath(at.folderPath, freeName) }, content, folderId);
    await insertEvent(trx, 'published', added);
    // After the insertion: a folder goes with its last file.
    const row = replaced && (await holdFile(trx, { id: replaced.id, owner }));
    return { file: added, removed: row ? await removeFile(trx, row, file.fateOfReplaced ?? 'gone') : null };
  }

  return { foresee, place };
}
