/** Deletes a file, into the trash or for good, and with the last file of a content the content. */
import type { Kysely } from 'kysely';
import type { Catalog } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepareHoldFile, toFileRecord } from './file-rows.ts';
import { prepareRemoveFile } from './remove-file.ts';

/** Prepares `deleteFile`. */
export function createDeleteFile(
  db: Kysely<Tables>,
  dialect: QueryDialect,
  clock: SqlClock,
): Pick<Catalog, 'deleteFile'> {
  // Locks the content, too: no other file is added to it until this transaction has decided whether to delete it.
  const holdFile = prepareHoldFile(db, dialect);
  const removeFile = prepareRemoveFile(db, clock);

  return {
    deleteFile(id, owner, fate = 'gone') {
      return db.transaction().execute(async (trx) => {
        const row = await holdFile(trx, { id, owner });
        if (!row) return undefined;
        const removed = await removeFile(trx, row, fate);
        return { file: toFileRecord(row), removedKey: removed?.key ?? null };
      });
    },
  };
}
