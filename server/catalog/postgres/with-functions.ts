/**
 * A catalog that begins and publishes uploads by functions in the database: in one message each, instead of four and nine.
 * The functions: migrations/0004-functions.ts. Why: docs/decisions/0041.
 */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import { foldName } from '../../wire/fold-name.ts';
import { roomForNumber, splitPath } from '../../wire/paths.ts';
import type { Catalog, NewUpload, Publication, PublishOutcome, UploadKind, UploadRecord } from '../catalog.ts';
import { type BareFileRow, toFileRecord } from '../queries/file-rows.ts';
import { prepare } from '../queries/prepare.ts';
import type { Tables } from '../schema.ts';

type Begun = Pick<UploadRecord, 'createdAt' | 'expiresAt'>;

/** The function's answer. The columns of the file are null unless the upload was published. */
type Outcome = { outcome: PublishOutcome['kind'] | 'steps' } & BareFileRow;

/** Replaces `createUpload` and `publish`. @param now - the time of the statement, in SQL. */
export function withFunctions(catalog: Catalog, db: Kysely<Tables>, now: RawBuilder<number>): Catalog {
  const begin = prepareBegin(db, now);
  const beginOfKind = prepareBeginOfKind(db, now, 'begin_upload_of_kind');
  const beginReplacing = prepareBeginOfKind(db, now, 'begin_replacing_upload');
  const publish = preparePublish(db, now);
  return {
    ...catalog,

    createUpload(given, mostOpen) {
      // Several steps, of which the functions know nothing: the link's limits come with them.
      if (given.sent) return catalog.createUpload(given, mostOpen);
      const { kind = 'file', partials, ...upload } = given;
      const values = { ...upload, mostOpen: mostOpen ?? null };
      const replaces = upload.onConflict === 'replace';
      if (kind === 'file' && !replaces) return begin.first(db, values);
      const ofKind = { ...values, kind, partialIds: partials?.join(' ') ?? null };
      return (replaces ? beginReplacing : beginOfKind).first(db, ofKind);
    },

    async publish(publication) {
      const values = toValues(publication);
      const found = values && (await publish.first(db, values));
      if (!found || found.outcome === 'steps') return catalog.publish(publication);
      const { outcome, ...row } = found;
      if (outcome !== 'published') return { kind: outcome };
      const folderPath = foldersOf(publication.file.name);
      return { kind: outcome, file: toFileRecord({ ...row, folderPath }), removed: null };
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

function prepareBeginOfKind(db: Kysely<Tables>, now: RawBuilder<number>, name: string) {
  return prepare((upload: BeginOfKindValues) =>
    db
      .with('begun', (made) =>
        made
          .selectFrom(
            sql<Begun>`${sql.ref(name)}(${upload.id}, ${upload.owner}, ${upload.size}, ${upload.md5}, ${upload.sha1},
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
            sql<Outcome>`publish_named_upload(${by.uploadId}, ${by.epoch}, ${now}, ${by.joinId}, ${by.md5}, ${by.sha1},
              ${by.sha256}, ${by.size}, ${by.variant}, ${by.key}, ${by.fileId}, ${by.owner}, ${by.name},
              ${by.foldedName}, ${by.type}, ${by.forgets}, ${by.proof}, ${by.replaces}, ${by.stem}, ${by.extension},
              ${by.foldedStem}, ${by.foldedExtension}, ${by.folders}, ${by.foldedFolders}, ${by.folderPath})`.as('row'),
          )
          .selectAll(),
      )
      .selectFrom('published')
      .selectAll(),
  );
}

/** The function's arguments; undefined where an existing content gets another key, which the function does not do. */
function toValues({ uploadId, epoch, content, file, forgetsStoreState = false }: Publication) {
  if ('id' in content && content.key !== undefined) return undefined;
  const taken =
    'id' in content
      ? { joinId: content.id, md5: null, sha1: null, sha256: null, size: null, variant: null, key: null, proof: null }
      : { joinId: null, ...content, proof: content.proof ?? null };
  const { folders, name } = splitPath(file.name);
  const folderPath = foldersOf(file.name);
  const [stem, extension] = roomForNumber(name, folderPath);
  const values = {
    fileId: file.id,
    owner: file.owner,
    name,
    foldedName: foldName(name),
    type: file.type,
    replaces: file.onConflict === 'replace',
    stem,
    extension,
    foldedStem: foldName(stem),
    foldedExtension: foldName(extension),
    folders: JSON.stringify(folders),
    foldedFolders: JSON.stringify(folders.map(foldName)),
    folderPath,
  };
  return { uploadId, epoch, ...taken, ...values, forgets: forgetsStoreState };
}

/** The path of a name's folder; null: the top. */
function foldersOf(path: string): string | null {
  const { folders } = splitPath(path);
  return folders.length > 0 ? folders.join('/') : null;
}
