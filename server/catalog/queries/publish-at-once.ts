/** Records an upload whose bytes are final already, and publishes it, in one transaction. */
import type { Kysely } from 'kysely';
import type { AtOnceOutcome, Catalog } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { mostBeside, prepareInsertUpload, replacesOf } from './begin-upload.ts';
import type { NodeDialect } from './nodes.ts';
import { preparePlaceFile } from './place-file.ts';
import { prepareTakeContent } from './take-content.ts';

/** The transaction is undone: nothing of it has happened. */
class Undone extends Error {
  readonly outcome: Exclude<AtOnceOutcome, { kind: 'published' }>;

  constructor(kind: Undone['outcome']['kind']) {
    super(kind);
    this.outcome = { kind };
  }
}

/** Prepares `publishAtOnce`. */
export function createPublishAtOnce(
  db: Kysely<Tables>,
  dialect: QueryDialect,
  nodes: NodeDialect,
): Pick<Catalog, 'publishAtOnce'> {
  const takeContent = prepareTakeContent(db, dialect, nodes);
  const { foresee, place } = preparePlaceFile(db, dialect, nodes.clock);
  const insertUpload = prepareInsertUpload(db, nodes.clock, 'complete');

  return {
    async publishAtOnce({ upload, content, file }, mostOpen) {
      try {
        return await db.transaction().execute(async (trx) => {
          await foresee(trx, file, undefined);
          const taken = await takeContent(trx, content);
          if (taken === undefined || taken === 'removing') throw new Undone('conflict');
          const placed = await place(trx, file, taken);
          // The row names its file, so it comes after it.
          const row = {
            ...upload,
            kind: 'file' as const,
            phase: null,
            fileId: placed.file.id,
            replaces: replacesOf(upload),
          };
          const inserted = await insertUpload.first(trx, { ...row, skipped: mostBeside(mostOpen) });
          if (!inserted) throw new Undone('too_many');
          return { kind: 'published', ...placed };
        });
      } catch (error) {
        if (error instanceof Undone) return error.outcome;
        throw error;
      }
    },
  };
}
