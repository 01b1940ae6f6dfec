/** Puts a catalog together from the queries that both dialects share. */
import type { Kysely } from 'kysely';
import type { Catalog } from './catalog.ts';
import { createBeginUpload } from './queries/begin-upload.ts';
import { createContentQueries } from './queries/contents.ts';
import { createFileQueries } from './queries/files.ts';
import { createListFiles } from './queries/list-files.ts';
import { createMetaQueries } from './queries/meta.ts';
import { createPublish } from './queries/publish.ts';
import { createUploadQueries } from './queries/uploads.ts';
import type { Tables } from './schema.ts';

/** What only the dialect itself can do. */
export type DialectMethods = Pick<Catalog, 'durable' | 'ping' | 'close'>;

/** The catalog in the database behind `db`, whose driver translates its errors. */
export function createCatalog(db: Kysely<Tables>, dialect: DialectMethods): Catalog {
  return {
    ...createBeginUpload(db),
    ...createUploadQueries(db),
    ...createContentQueries(db),
    ...createPublish(db),
    ...createFileQueries(db),
    ...createListFiles(db),
    ...createMetaQueries(db),
    ...dialect,
  };
}
