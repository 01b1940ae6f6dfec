/** All files below folders, by one statement: in both dialects it sees one moment. */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { AllBelow, FileBelow } from '../all-below.ts';
import type { Tables } from '../schema.ts';
import { prepareFindFolders } from './folders.ts';
import { namesOf } from './list-folder.ts';
import { prepare } from './prepare.ts';

/** After each name of a place: it sorts before every character that names have, and so a folder before those that begin like it. */
const SEPARATOR = '\u0001';
/** Before an id, of which as many digits stay: so ids sort as numbers do. */
const ZEROS = '0'.repeat(19);

/**
 * The files below the folders of `roots`, which has the columns of `inside`. A cross join: SQLite would read all files of all owners, and
 * look for their folders.
 */
function filesBelow(db: Kysely<Tables>, roots: RawBuilder<unknown>, most: number) {
  const query = sql<FileBelow>`with recursive inside (position, id, owner, way, place) as (
    ${roots}
    union all
    select inside.position, folders.id, folders.owner, inside.way || folders.name || '/',
      inside.place || folders.folded_name || ${SEPARATOR}
        || substr(${ZEROS} || cast(folders.id as text), length(cast(folders.id as text)) + 1)
    from inside join folders on folders.owner = inside.owner and folders.parent_id = inside.id
  ) select files.id, inside.way || files.name as path, files.size, files.uploaded_at as "uploadedAt"
  from inside cross join files where files.folder_id = inside.id
  order by inside.position, inside.place, files.folded_name, files.id limit ${most}`;
  return { compile: () => query.compile(db) };
}

/** Prepares `AllBelow`. */
export function createAllBelow(db: Kysely<Tables>): AllBelow {
  const findFolders = prepareFindFolders(db);
  // Texts of no length, in the collation of their columns.
  const selectBelow = prepare(
    (by: { id: number; most: number }) =>
      filesBelow(
        db,
        sql`select 1, id, owner, substr(name, 1, 0), substr(folded_name, 1, 0) from folders where id = ${by.id}`,
        by.most,
      ),
    { aside: true },
  );
  const selectLinked = prepare(
    (by: { linkId: string; most: number }) =>
      filesBelow(
        db,
        sql`select link_folders.position, folders.id, folders.owner, folders.name || '/', substr(folders.folded_name, 1, 0)
          from link_folders join folders on folders.id = link_folders.folder_id where link_folders.link_id = ${by.linkId}`,
        by.most,
      ),
    { aside: true },
  );

  return {
    async listAllBelow({ owner, folder, most }) {
      const id = (await findFolders(db, owner, namesOf(folder)))?.at(-1)?.id;
      return id === undefined ? undefined : selectBelow.rows(db, { id, most });
    },
    listAllLinked: (linkId, most) => selectLinked.rows(db, { linkId, most }),
  };
}
