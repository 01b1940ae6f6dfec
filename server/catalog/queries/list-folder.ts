/** Lists one level of an owner's tree: the folders by name, then the files, sorted by one of three indexes. */
import { type Kysely, sql } from 'kysely';
import type { Catalog, FileRecord, FileSort, FolderPage, FolderQuery, FolderRecord } from '../catalog.ts';
import { decodeFields, encodeFields, invalidCursor, type Position } from '../cursor.ts';
import type { Tables } from '../schema.ts';
import { joinPath } from '../../wire/paths.ts';
import { SORT_COLUMNS, type SortColumn } from './file-listing.ts';
import { FOLDER_PATH, type FileRow, selectBareFiles, toFileRecord } from './file-rows.ts';
import { FOLDER_ROW, type FolderRow, prepareFindFolders, TOP } from './folders.ts';
import { prepare, rowsAside } from './prepare.ts';

/** So few files at the top are always read and sorted. */
const FEW = 2_000;
/** Why a cursor is refused. */
const UNKNOWN = 'it is not one of this service';

/** A folder whose level is listed. */
export interface Level {
  owner: string;
  /** `TOP` for the top. */
  folderId: number;
  /** Null: the top; undefined: to be looked up. */
  path: string | null | undefined;
}

/** `count` files of a level, in this order, after this position. */
export interface LevelListing {
  column: SortColumn;
  direction: 'asc' | 'desc';
  after: Position | undefined;
  count: number;
}

/** The names of a path; none: the top. */
export function namesOf(path: string): string[] {
  return path === '' ? [] : path.split('/');
}

/** A file of a level. */
export interface ListedFile {
  file: FileRecord;
  /** Its folded name as it is stored. */
  folded: string;
}

function toListed({ folded, ...row }: FileRow & { folded: string }): ListedFile {
  return { file: toFileRecord(row), folded };
}

/** Prepares the listing of the files of a level. */
export function createListLevel(db: Kysely<Tables>) {
  const selectTotal = prepare((by: { owner: string }) =>
    db.selectFrom('owner_totals').select('files').where('owner', '=', by.owner),
  );
  const selectBeyond = prepare(
    (by: { owner: string; few: number }) =>
      db
        .selectFrom('files')
        .select('name')
        .where('owner', '=', by.owner)
        .where('folder_id', 'is', null)
        .where('name', '>=', '')
        .orderBy('name')
        .limit(sql.lit(1))
        .offset(by.few),
    { aside: true },
  );

  /**
   * Whether it takes less to read all files at the top, and to sort them, than to go along the index of the order, where those in
   * folders lie between: `count` files are expected among `count * total / top`.
   */
  async function areFewAtTop(owner: string, count: number): Promise<boolean> {
    const total = (await selectTotal.first(db, { owner }))?.files ?? 0;
    const few = Math.max(FEW, Math.ceil(Math.sqrt(count * total)));
    return total <= few || (await selectBeyond.first(db, { owner, few })) === undefined;
  }

  return async function listLevel({ owner, folderId, path }: Level, listing: LevelListing): Promise<ListedFile[]> {
    const { column, direction, after, count } = listing;
    let files = selectBareFiles(db).select('files.folded_name as folded');
    // A cursor may name any folder: the owner is compared, too, without an index.
    if (folderId !== TOP)
      files = files.where(sql<boolean>`files.folder_id = ${folderId} and coalesce(files.owner, '') = ${owner}`);
    else files = files.where((await areFewAtTop(owner, count)) ? isOfFew(owner) : isAlong(owner));
    if (after) files = files.where(isAfter(`files.${column}`, 'files.id', direction, after));
    const sorted = files.orderBy(`files.${column}`, direction).orderBy('files.id', direction).limit(count);
    if (path === undefined) return (await rowsAside(db, sorted.select(FOLDER_PATH.as('folderPath')))).map(toListed);
    return (await rowsAside(db, sorted)).map((row) => toListed({ ...row, folderPath: path }));
  };
}

/** Finds the files at the top by the index of their names. */
function isOfFew(owner: string) {
  return sql<boolean>`files.id in (select at_top.id from files as at_top
    where at_top.owner = ${owner} and at_top.folder_id is null and at_top.name >= '')`;
}

/** Finds them along the index of the order: the `+` keeps the planner from another one. */
function isAlong(owner: string) {
  return sql<boolean>`files.owner = ${owner} and +files.folder_id is null`;
}

/** A folder's place among those of its parent. */
export interface FolderPosition {
  /** Its folded name. */
  value: string;
  id: number;
}

type AnyPosition = Position | FolderPosition;

/** Whether a row comes after a position. */
function isAfter(value: string, id: string, direction: 'asc' | 'desc', after: AnyPosition) {
  const sign = sql.raw(direction === 'desc' ? '<' : '>');
  return sql<boolean>`(${sql.ref(value)}, ${sql.ref(id)}) ${sign} (${after.value}, ${after.id})`;
}

/** Prepares the listing of the folders in a folder. */
export function createListFolders(db: Kysely<Tables>) {
  return async function listFolders(
    { owner, folderId }: Level,
    direction: 'asc' | 'desc',
    after: FolderPosition | undefined,
    count: number,
  ): Promise<FolderRow[]> {
    let folders = db
      .selectFrom('folders')
      .select(FOLDER_ROW)
      .where('owner', '=', owner)
      .where('parent_id', '=', folderId);
    if (after) folders = folders.where(isAfter('folded_name', 'id', direction, after));
    return folders.orderBy('folded_name', direction).orderBy('id', direction).limit(count).execute();
  };
}

/** Where a page begins: among the folders or the files of a level, after the one of this position. */
type Begin = { among: 'folders'; after: FolderPosition | undefined } | { among: 'files'; after: Position | undefined };

/** Prepares `findFolder` and `listFolder`. */
export function createListFolder(db: Kysely<Tables>): Pick<Catalog, 'findFolder' | 'listFolder'> {
  const findFolders = prepareFindFolders(db);
  const listFolders = createListFolders(db);
  const listLevel = createListLevel(db);

  async function page(level: Level & { path: string | null }, query: FolderQuery): Promise<FolderPage> {
    const { limit, sort, descending } = query;
    const kind = ['level', level.folderId, sort, descending];
    const begin: Begin =
      query.cursor === undefined ? { among: 'folders', after: undefined } : readBegin(kind, sort, query.cursor);
    const cursor = (among: Begin['among'], last?: AnyPosition) =>
      encodeFields(kind, [among, last?.value ?? null, last?.id ?? null]);

    const foldersWay = sort === 'name' && descending ? 'desc' : 'asc';
    const rows = begin.among === 'folders' ? await listFolders(level, foldersWay, begin.after, limit + 1) : [];
    const folders = rows.slice(0, limit);
    const records = folders.map((row) => toFolderRecord(level.path, row));
    const lastFolder = folders.at(-1);
    if (lastFolder && rows.length > limit) {
      const last = { value: lastFolder.folded, id: lastFolder.id };
      return { folders: records, files: [], nextCursor: cursor('folders', last) };
    }
    const room = limit - folders.length;
    const column = SORT_COLUMNS[sort];
    const after = begin.among === 'files' ? begin.after : undefined;
    const direction = descending ? 'desc' : 'asc';
    const found = await listLevel(level, { column, direction, after, count: room + 1 });
    const files = found.slice(0, room);
    const last = files.at(-1);
    const end = last ? positionOf(last, column) : after;
    return {
      folders: records,
      files: files.map(({ file }) => file),
      nextCursor: found.length > room ? cursor('files', end) : null,
    };
  }

  return {
    async findFolder(owner, path) {
      const found = (await findFolders(db, owner, namesOf(path)))?.at(-1);
      return found && { path, files: found.files, bytes: found.bytes };
    },

    async listFolder(query) {
      const { owner, folder } = query;
      const found = await findFolders(db, owner, namesOf(folder));
      if (!found) return undefined;
      return page({ owner, folderId: found.at(-1)?.id ?? TOP, path: folder === '' ? null : folder }, query);
    },
  };
}

/** Where a file is in the order of a column. */
export function positionOf({ file, folded }: ListedFile, column: SortColumn): Position {
  const value = { folded_name: folded, size: file.content.size, uploaded_at: file.uploadedAt }[column];
  return { value, id: file.id };
}

function readBegin(kind: readonly unknown[], sort: FileSort, cursor: string): Begin {
  const [among, value, id, ...more] = decodeFields(kind, cursor);
  if ((among !== 'folders' && among !== 'files') || more.length > 0) throw invalidCursor(UNKNOWN);
  if (among === 'files' && value === null && id === null) return { among, after: undefined };
  const isName = among === 'folders' || sort === 'name';
  const fits = isName ? typeof value === 'string' : Number.isSafeInteger(value);
  const fitsId = among === 'folders' ? Number.isSafeInteger(id) : typeof id === 'string';
  if (!fits || !fitsId) throw invalidCursor(UNKNOWN);
  return { among, after: { value, id } } as Begin;
}

function toFolderRecord(parent: string | null, { name, files, bytes }: FolderRow): FolderRecord {
  return { path: joinPath(parent, name), files, bytes };
}
