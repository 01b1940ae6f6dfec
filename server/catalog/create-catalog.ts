/** Puts a catalog together from the queries that both dialects share. */
import type { Kysely } from 'kysely';
import type { Catalog } from './catalog.ts';
import type { QueryDialect } from './dialect.ts';
import { createAllBelow } from './queries/all-below.ts';
import { createAskQueries } from './queries/asks.ts';
import { createBeginUpload } from './queries/begin-upload.ts';
import { createClaimQueries } from './queries/claims.ts';
import { createContentQueries } from './queries/contents.ts';
import { createDeleteBelow } from './queries/delete-below.ts';
import { createDeleteFile } from './queries/delete-file.ts';
import { createEndedUploads } from './queries/ended-uploads.ts';
import { createEventQueries } from './queries/events.ts';
import { createFileQueries } from './queries/files.ts';
import { createFinalQueries } from './queries/finals.ts';
import { createFindUploads } from './queries/find-uploads.ts';
import { createLeaseQueries } from './queries/leases.ts';
import { createLedgerQueries } from './queries/ledger.ts';
import { createKeepWaiting, createReleasePartials } from './queries/life-of-partials.ts';
import { createFindFiles } from './queries/find-files.ts';
import { createFindNamed } from './queries/find-named.ts';
import { createLinkFiles } from './queries/link-files.ts';
import { createLinkFolders } from './queries/link-folders.ts';
import { createLinkUse } from './queries/link-use.ts';
import { createLinkQueries } from './queries/links.ts';
import { createListBelow } from './queries/list-below.ts';
import { createListFiles } from './queries/list-files.ts';
import { createListFolder } from './queries/list-folder.ts';
import { createListUploads } from './queries/list-uploads.ts';
import { createMetaQueries } from './queries/meta.ts';
import { createMoveFolder } from './queries/move-folder.ts';
import { createNodeQueries, type NodeDialect } from './queries/nodes.ts';
import { createPublish } from './queries/publish.ts';
import { createPublishAtOnce } from './queries/publish-at-once.ts';
import { createRemovalQueries } from './queries/removals.ts';
import { createRestoreTrashed } from './queries/restore-trashed.ts';
import { createRows } from './queries/rows.ts';
import { createSentUploads } from './queries/sent-uploads.ts';
import { createTrashQueries } from './queries/trash.ts';
import { createUploadLengths } from './queries/upload-lengths.ts';
import { createUploadQueries } from './queries/uploads.ts';
import { createUsageQueries } from './queries/usage.ts';
import type { Tables } from './schema.ts';

/** What each dialect implements itself. */
export interface DialectMethods extends Pick<Catalog, 'clock' | 'keepTime' | 'durable' | 'ping' | 'close'> {
  nodes: NodeDialect;
  queries: QueryDialect;
}

/** Creates the catalog over `db`, whose driver translates its errors. */
export function createCatalog(db: Kysely<Tables>, { nodes, queries, ...dialect }: DialectMethods): Catalog {
  const { clock } = nodes;
  return {
    ...createBeginUpload(db, queries, clock),
    ...createFindUploads(db, clock),
    ...createListUploads(db, nodes, queries),
    ...createFinalQueries(db, clock),
    ...createReleasePartials(db, clock),
    ...createKeepWaiting(db, clock),
    ...createEndedUploads(db, queries, clock),
    ...createLedgerQueries(db, clock),
    ...createUploadLengths(db, queries, clock),
    ...createSentUploads(db),
    ...createUploadQueries(db, queries, clock),
    ...createContentQueries(db),
    ...createRemovalQueries(db, nodes),
    ...createPublish(db, queries, nodes),
    ...createPublishAtOnce(db, queries, nodes),
    ...createFileQueries(db, queries, clock),
    ...createFindFiles(db),
    ...createFindNamed(db),
    ...createListFiles(db, queries),
    ...createDeleteFile(db, queries, clock),
    ...createLinkQueries(db, queries, clock),
    ...createLinkFiles(db),
    ...createLinkFolders(db),
    ...createLinkUse(db, clock),
    ...createListFolder(db),
    ...createListBelow(db),
    ...createAllBelow(db),
    ...createMoveFolder(db, queries, clock),
    ...createDeleteBelow(db, queries, clock),
    ...createTrashQueries(db, queries, clock),
    ...createRestoreTrashed(db, queries, clock),
    ...createUsageQueries(db, clock),
    ...createEventQueries(db, clock),
    ...createMetaQueries(db),
    ...createLeaseQueries(db, nodes),
    ...createNodeQueries(db, nodes, queries),
    ...createClaimQueries(db, nodes),
    ...createAskQueries(db, nodes),
    isShared: nodes.isShared,
    rows: createRows(db, queries),
    ...dialect,
  };
}
