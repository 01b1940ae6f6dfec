/**
 * A catalog that begins and publishes uploads by functions in the database: in one message each, instead of four and nine.
 * The functions: migrations/0004-functions.ts. Why: docs/decisions/0041.
 */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import { foldName } from '../../wire/fold-name.ts';
import type { Catalog, NewUpload, Publication, PublishOutcome, UploadKind, UploadRecord } from '../catalog.ts';
import { type FileRow, toFileRecord } from '../queries/file-rows.ts';
import { prepare } from '../queries/prepare.ts';
import type { Tables } from '../schema.ts';

type Begun = Pick<UploadRecord, 'createdAt' | 'expiresAt'>;

/** The function's answer. The columns of the file are null unless the upload was published. */
type Outcome = { outcome: PublishOutcome['kind'] | 'steps' } & FileRow;

/** Replaces `createUpload` and `publish`. @param now - the time of the statement, in SQL. */
export function withFunctions(catalog: Catalog, db: Kysely<Tables>, now: RawBuilder<number>): Catalog {
  const begin = prepareBegin(db, now);
  const beginOfKind = prepareBeginOfKind(db, now);
  const publish = preparePublish(db, now);
  return {
    ...catalog,

    createUpload({ kind = 'file', partials, ...upload }, mostOpen) {
      const values = { ...upload, mostOpen: mostOpen ?? null };
      if (kind === 'file') return begin.first(db, values);
      return beginOfKind.first(db, { ...values, kind, partialIds: partials?.join(' ') ?? null });
    },

    async publish(publication) {
      const values = toValues(publication);
      const found = values && (await publish.first(db, values));
      if (!found || found.outcome === 'steps') return catalog.publish(publication);
      const { outcome, ...row } = found;
      return outcome === 'published' ? { kind: outcome, file: toFileRecord(row) } : { kind: outcome };
    },
  };
}

// The outer query begins with `with`, not `select`: the driver takes a `select` for a read, which is repeated after a lost
// connection.
function prepareBegin(db: Kysely<Tables>, now: RawBuilder<number>) {
  return prepare((upload: NewUpload & { mostOpen: number | null }) =>
    db
      .with('begun', (made) =>
        made
          .selectFrom(
            sql<Begun>`begin_upload(${upload.id}, ${upload.owner}, ${upload.size}, ${upload.md5}, ${upload.sha1},
              ${upload.sha256}, ${upload.filename}, ${upload.filetype}, ${upload.metadata}, ${upload.holder},
              ${upload.phase}, ${now}, ${upload.lifeMs}, ${upload.mostOpen})`.as('row'),
          )
          .selectAll(),
      )
      .selectFrom('begun')
      .selectAll(),
  );
}

type BeginOfKindValues = NewUpload & { mostOpen: number | null; kind: UploadKind; partialIds: string | null };

function prepareBeginOfKind(db: Kysely<Tables>, now: RawBuilder<number>) {
  return prepare((upload: BeginOfKindValues) =>
    db
      .with('begun', (made) =>
        made
          .selectFrom(
            sql<Begun>`begin_upload_of_kind(${upload.id}, ${upload.owner}, ${upload.size}, ${upload.md5}, ${upload.sha1},
              ${upload.sha256}, ${upload.filename}, ${upload.filetype}, ${upload.metadata}, ${upload.holder},
              ${upload.phase}, ${now}, ${upload.lifeMs}, ${upload.mostOpen}, ${upload.kind}, ${upload.partialIds})`.as(
              'row',
            ),
          )
          .selectAll(),
      )
      .selectFrom('begun')
      .selectAll(),
  );
}

type PublishValues = NonNullable<ReturnType<typeof toValues>>;

function preparePublish(db: Kysely<Tables>, now: RawBuilder<number>) {
  return prepare((by: PublishValues) =>
    db
      .with('published', (made) =>
        made
          .selectFrom(
            sql<Outcome>`publish_proved_upload(${by.uploadId}, ${by.epoch}, ${now}, ${by.joinId}, ${by.md5}, ${by.sha1},
              ${by.sha256}, ${by.size}, ${by.variant}, ${by.key}, ${by.fileId}, ${by.owner}, ${by.name},
              ${by.foldedName}, ${by.type}, ${by.reuses}, ${by.forgets}, ${by.proof})`.as('row'),
          )
          .selectAll(),
      )
      .selectFrom('published')
      .selectAll(),
  );
}

/** The function's arguments; undefined where an existing content gets another key, which the function does not do. */
function toValues({ uploadId, epoch, content, file, reuseFile = false, forgetsStoreState = false }: Publication) {
  if ('id' in content && content.key !== undefined) return undefined;
  const taken =
    'id' in content
      ? { joinId: content.id, md5: null, sha1: null, sha256: null, size: null, variant: null, key: null, proof: null }
      : { joinId: null, ...content, proof: content.proof ?? null };
  const { id: fileId, owner, name, type } = file;
  const entry = { fileId, owner, name, foldedName: foldName(name), type };
  return { uploadId, epoch, ...taken, ...entry, reuses: reuseFile, forgets: forgetsStoreState };
}
