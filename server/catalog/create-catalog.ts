/** Puts a catalog together from the queries that both dialects share. */
import type { Kysely } from 'kysely';
import type { Catalog } from './catalog.ts';
import { createBeginUpload } from './queries/begin-upload.ts';
import { createContentQueries } from './queries/contents.ts';
import { createEventQueries } from './queries/events.ts';
import { createFileQueries } from './queries/files.ts';
import { createLeaseQueries, type NodeDialect } from './queries/leases.ts';
import { createListFiles } from './queries/list-files.ts';
import { createMetaQueries } from './queries/meta.ts';
import { createPublish } from './queries/publish.ts';
import { createUploadQueries } from './queries/uploads.ts';
import type { Tables } from './schema.ts';

/** What only the dialect itself can do. */
export interface DialectMethods extends Pick<Catalog, 'durable' | 'ping' | 'close'> {
  nodes: NodeDialect;
}

/** The catalog in the database behind `db`, whose driver translates its errors. */
export function createCatalog(db: Kysely<Tables>, { nodes, ...dialect }: DialectMethods): Catalog {
  return {
    ...createBeginUpload(db),
    ...createUploadQueries(db, nodes),
    ...createContentQueries(db),
    ...createPublish(db),
    ...createFileQueries(db),
    ...createListFiles(db),
    ...createEventQueries(db),
    ...createMetaQueries(db),
    ...createLeaseQueries(db, nodes),
    isShared: nodes.isShared,
    ...dialect,
  };
}
