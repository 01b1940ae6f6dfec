/** Names in folders: which file has one, and which is free. */
import { type Compilable, type Kysely, sql } from 'kysely';
import { numberedName, roomForNumber } from '../../wire/paths.ts';
import type { FileRecord } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { type BareFileRow, selectBareFiles, toFileRecord } from './file-rows.ts';
import { type Executor, prepare } from './prepare.ts';

/** Of so few files of one content, all are looked at for one that has the name with a number. */
const FEW_ALIKE = 100;

/** The largest number that counts as one of a name. */
const MAX_NUMBER = 99_999_999;

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
  const findNumbered = prepareFindNumbered(db);

  /** Waits until no other transaction takes the name. In a folder, its row is locked already. */
  async function holdName(trx: Executor, { owner, folderId }: Place, name: string): Promise<void> {
    if (folderId === null) await hold(trx, `file of ${owner}: ${name}`, 'alone');
  }

  const isTaken = async (trx: Executor, place: Place, name: string): Promise<boolean> =>
    (await selectOne.first(trx, place, { name })) !== undefined;

  /**
   * The file of this content that has the name; or, where others have it, the name with a number.
   *
   * @param isExact - no number counts.
   */
  async function findSame(
    trx: Executor,
    place: Place,
    name: string,
    contentId: number,
    isExact: boolean,
  ): Promise<{ same: FileRecord | undefined; isTaken: boolean }> {
    const record = (row: BareFileRow): FileRecord => toFileRecord({ ...row, folderPath: place.folderPath });
    const same = await selectSame.first(trx, place, { name, contentId });
    if (same) return { same: record(same), isTaken: true };
    if (!(await isTaken(trx, place, name))) return { same: undefined, isTaken: false };
    const numbered = isExact ? undefined : await findNumbered(trx, place, name, contentId);
    return { same: numbered && record(numbered), isTaken: true };
  }

  /** A name with a number that no file has; nobody else takes it until the transaction ends. Takes few steps for any number. */
  async function freeName(trx: Executor, place: Place, name: string): Promise<string> {
    const numberedAs = (number: number): string => numberedName(name, number, place.folderPath);
    const isNumberTaken = (number: number) => isTaken(trx, place, numberedAs(number));
    for (let taken = 1; ;) {
      let free = taken * 2;
      for (; await isNumberTaken(free); free *= 2) taken = free;
      while (free - taken > 1) {
        const middle = Math.floor((taken + free) / 2);
        if (await isNumberTaken(middle)) taken = middle;
        else free = middle;
      }
      const numbered = numberedAs(free);
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

/** Prepares the search for the file of a content that has a name with a number. */
function prepareFindNumbered(db: Kysely<Tables>) {
  const selectAlike = prepare((by: { owner: string; contentId: number }) =>
    selectBareFiles(db)
      .select('files.folder_id as folderId')
      .where('files.content_id', '=', by.contentId)
      .where('files.owner', '=', by.owner)
      .limit(sql.lit(FEW_ALIKE)),
  );
  // Along the index of names, which has the content, too.
  const selectBetween = prepareInPlace(db, (files, by: { contentId: number; after: string; before: string }) =>
    files
      .where('files.name', '>', by.after)
      .where('files.name', '<', by.before)
      .where('files.content_id', '=', by.contentId)
      .orderBy('files.name'),
  );

  return async function findNumbered(
    trx: Executor,
    place: Place,
    name: string,
    contentId: number,
  ): Promise<BareFileRow | undefined> {
    const { owner, folderId, folderPath } = place;
    const [stem, extension] = roomForNumber(name, folderPath);
    const isNumbered = (row: BareFileRow): boolean => hasNumber(row.name, stem, extension);
    const alike = await selectAlike.rows(trx, { owner, contentId });
    if (alike.length < FEW_ALIKE) {
      const here = alike.flatMap(({ folderId: of, ...row }) => (of === folderId ? [row] : []));
      return here.find(isNumbered);
    }
    const between = { contentId, after: `${stem} (`, before: `${stem} )` };
    return (await selectBetween.rows(trx, place, between)).find(isNumbered);
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
  const rows = (executor: Executor, { owner, folderId }: Place, values: Values): Promise<Row[]> =>
    folderId === null ? top.rows(executor, { ...values, owner }) : folder.rows(executor, { ...values, folderId });
  return {
    rows,
    first: async (executor: Executor, place: Place, values: Values): Promise<Row | undefined> =>
      (await rows(executor, place, values))[0],
  };
}

/** Whether `name` has a number between the stem and the extension. */
function hasNumber(name: string, stem: string, extension: string): boolean {
  const number = Number(name.slice(stem.length + 2, -1 - extension.length));
  return number > 1 && number <= MAX_NUMBER && `${stem} (${number})${extension}` === name;
}
