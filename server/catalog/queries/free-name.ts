/** Names in folders: which file has one, and which is free. */
import { type Compilable, type Kysely, sql } from 'kysely';
import { numberedName } from '../../wire/paths.ts';
import type { FileRecord } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { type BareFileRow, selectBareFiles, toFileRecord } from './file-rows.ts';
import { type Executor, prepare } from './prepare.ts';

/** How many files of one content are looked at for one that has the name with a number. */
const MOST_ALIKE = 100;

/** Where a file is, or comes to. */
export interface Place {
  owner: string;
  /** Null: the top. */
  folderId: number | null;
  folderPath: string | null;
}

type BareFiles = ReturnType<typeof selectBareFiles>;

/** Prepares what a transaction needs that gives a file a name. */
export function prepareNames(db: Kysely<Tables>, { hold }: QueryDialect) {
  const named = (files: BareFiles, name: string) => files.where('files.name', '=', name);
  const selectSame = prepareInPlace(db, (files, by: { name: string; contentId: number }) =>
    named(files, by.name).where('files.content_id', '=', by.contentId).limit(sql.lit(1)),
  );
  const selectOne = prepareInPlace(db, (files, by: { name: string }) => named(files, by.name).limit(sql.lit(1)));
  const selectLatest = prepareInPlace(db, (files, by: { name: string }) =>
    named(files, by.name).orderBy('files.uploaded_at', 'desc').orderBy('files.id', 'desc').limit(sql.lit(1)),
  );
  const selectAlike = prepare((by: { owner: string; contentId: number; folderId: number }) =>
    selectBareFiles(db)
      .where('files.content_id', '=', by.contentId)
      .where('files.owner', '=', by.owner)
      .where(sql<boolean>`coalesce(files.folder_id, 0) = ${by.folderId}`)
      .limit(sql.lit(MOST_ALIKE)),
  );

  /** Waits until no other transaction takes the name. In a folder, its row is locked already. */
  async function holdName(trx: Executor, { owner, folderId }: Place, name: string): Promise<void> {
    if (folderId === null) await hold(trx, `file of ${owner}: ${name}`, 'alone');
  }

  /** The file of this content that has the name; or, where others have it, the name with a number. */
  async function findSame(
    trx: Executor,
    place: Place,
    name: string,
    contentId: number,
  ): Promise<{ same: FileRecord | undefined; isTaken: boolean }> {
    const record = (row: BareFileRow): FileRecord => toFileRecord({ ...row, folderPath: place.folderPath });
    const same = await selectSame.first(trx, place, { name, contentId });
    if (same) return { same: record(same), isTaken: true };
    if (!(await selectOne.first(trx, place, { name }))) return { same: undefined, isTaken: false };
    const { owner, folderId } = place;
    const alike = await selectAlike.rows(trx, { owner, contentId, folderId: folderId ?? 0 });
    const found = alike.find((row) => isNumbered(row.name, name));
    return { same: found && record(found), isTaken: true };
  }

  const isTaken = async (trx: Executor, place: Place, name: string): Promise<boolean> =>
    (await selectOne.first(trx, place, { name })) !== undefined;

  /** A name with a number that no file has; nobody else takes it until the transaction ends. Takes few steps for any number. */
  async function freeName(trx: Executor, place: Place, name: string): Promise<string> {
    const isNumberTaken = (number: number) => isTaken(trx, place, numberedName(name, number));
    for (let taken = 1; ;) {
      let free = taken * 2;
      for (; await isNumberTaken(free); free *= 2) taken = free;
      while (free - taken > 1) {
        const middle = Math.floor((taken + free) / 2);
        if (await isNumberTaken(middle)) taken = middle;
        else free = middle;
      }
      const numbered = numberedName(name, free);
      await holdName(trx, place, numbered);
      if (!(await isTaken(trx, place, numbered))) return numbered;
      // Another transaction has taken it meanwhile.
      taken = free;
    }
  }

  return {
    holdName,
    findSame,
    freeName,
    isTaken,
    findLatest: (trx: Executor, place: Place, name: string) => selectLatest.first(trx, place, { name }),
  };
}

/** Prepares a query of the files in a folder, and of those at the top: each has an index of its own. */
function prepareInPlace<Values extends object, Row>(
  db: Kysely<Tables>,
  build: (files: BareFiles, by: Values) => Compilable<Row>,
) {
  const top = prepare((by: Values & { owner: string }) =>
    build(selectBareFiles(db).where('files.owner', '=', by.owner).where('files.folder_id', 'is', null), by),
  );
  const folder = prepare((by: Values & { folderId: number }) =>
    build(selectBareFiles(db).where('files.folder_id', '=', by.folderId), by),
  );
  return {
    first: (executor: Executor, { owner, folderId }: Place, values: Values): Promise<Row | undefined> =>
      folderId === null ? top.first(executor, { ...values, owner }) : folder.first(executor, { ...values, folderId }),
  };
}

/** Whether `name` is `wanted` with a number. */
function isNumbered(name: string, wanted: string): boolean {
  const number = Number(/ \((\d{1,8})\)(?:\.[^.]*)?$/.exec(name)?.[1] ?? 0);
  return number > 1 && numberedName(wanted, number) === name;
}
