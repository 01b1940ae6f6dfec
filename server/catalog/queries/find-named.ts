/** Finds the files that have any of many names: folder by folder, by the index of the names in it. */
import { type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely';
import { joinPath, splitPath } from '../../wire/paths.ts';
import type { NamedFile, NamedFiles } from '../named-files.ts';
import type { Tables } from '../schema.ts';
import { prepareSelectChild, TOP } from './folders.ts';
import { type Prepared, prepare } from './prepare.ts';

type Values = Record<string, string | number>;

/** Prepares `findNamed`. */
export function createFindNamed(db: Kysely<Tables>): NamedFiles {
  const selectChild = prepareSelectChild(db);
  const selectAtTop = prepareSelectNames(
    db,
    (by) => sql<SqlBool>`files.owner = ${by['owner']} and files.folder_id is null`,
  );
  const selectInFolder = prepareSelectNames(db, (by) => sql<SqlBool>`files.folder_id = ${by['folderId']}`);

  /** Finds folders by their paths, each once. */
  function createFindFolder(owner: string): (path: string) => Promise<number | undefined> {
    const known = new Map<string, number | undefined>([['', TOP]]);
    return async function findFolder(path: string): Promise<number | undefined> {
      if (known.has(path)) return known.get(path);
      const cut = path.lastIndexOf('/');
      const parentId: number | undefined = await findFolder(cut < 0 ? '' : path.slice(0, cut));
      const name = path.slice(cut + 1);
      const child = parentId === undefined ? undefined : await selectChild.first(db, { owner, parentId, name });
      known.set(path, child?.id);
      return child?.id;
    };
  }

  return {
    async findNamed(owner, paths) {
      const wanted = new Map<string, string[]>();
      for (const path of new Set(paths)) {
        const { folders, name } = splitPath(path);
        const folder = folders.join('/');
        const names = wanted.get(folder) ?? [];
        names.push(name);
        wanted.set(folder, names);
      }
      const findFolder = createFindFolder(owner);
      const found: NamedFile[] = [];
      for (const [folder, names] of wanted) {
        const folderId = await findFolder(folder);
        if (folderId === undefined) continue;
        const rows = folderId === TOP ? await selectAtTop(names, { owner }) : await selectInFolder(names, { folderId });
        for (const { name, ...rest } of rows)
          found.push({ name: joinPath(folder === '' ? null : folder, name), ...rest });
      }
      return found;
    },
  };
}

/** Prepares the search for names in a folder, or at the top. */
function prepareSelectNames(db: Kysely<Tables>, isInPlace: (by: Values) => RawBuilder<SqlBool>) {
  /** By the number of names that they take. */
  const prepared = new Map<number, Prepared<Values, NamedFile>>();

  function prepareFor(count: number): Prepared<Values, NamedFile> {
    return prepare(
      (by: Values) => {
        const names = Array.from({ length: count }, (_, index) => by[`name${index}`] as string);
        return db
          .selectFrom('files')
          .innerJoin('contents', 'contents.id', 'files.content_id')
          .select(['files.name', 'contents.size', 'contents.md5'])
          .where(isInPlace(by))
          .where('files.name', 'in', names);
      },
      { aside: true },
    );
  }

  return async function selectNames(names: readonly string[], place: Values): Promise<NamedFile[]> {
    // Names are repeated up to a power of two, as the ids of `findFiles`.
    const count = 2 ** Math.ceil(Math.log2(names.length));
    const query = prepared.get(count) ?? prepareFor(count);
    prepared.set(count, query);
    const values = Array.from({ length: count }, (_, index) => [
      `name${index}`,
      names[Math.min(index, names.length - 1)] ?? '',
    ]);
    return query.rows(db, { ...Object.fromEntries(values), ...place });
  };
}
