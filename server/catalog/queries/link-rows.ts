/** What the queries on links have in common: their columns, and their cursors. */
import { type Kysely, sql } from 'kysely';
import { CatalogError, type LinkRecord } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { MOST_SENT_BYTES, type Taken, type UploadTerms } from '../sent-uploads.ts';
import type { SqlClock } from './clock.ts';

/** A query of all links, to which callers add conditions. */
export function selectLinks(db: Kysely<Tables>, clock: SqlClock) {
  return db.selectFrom('links').select([
    'links.id',
    'links.owner',
    'links.kind',
    'links.name',
    'links.created_at as createdAt',
    'links.expires_at as expiresAt',
    'links.password',
    'links.most_downloads as mostDownloads',
    'links.downloads',
    'links.revoked_at as revokedAt',
    'links.last_used_at as lastUsedAt',
    'links.folder',
    'links.most_bytes as mostBytes',
    'links.most_files as mostFiles',
    'links.most_file_bytes as mostFileBytes',
    'links.types',
    'links.sent_files as sentFiles',
    // Bytes of unknown length count as they come, also past the most that can be declared.
    sql<number>`case when links.sent_bytes > ${sql.lit(MOST_SENT_BYTES)} then ${sql.lit(MOST_SENT_BYTES)}
        else links.sent_bytes end`.as('sentBytes'),
    sql<number | null>`links.expires_at - ${clock.earliest}`.as('leftMs'),
    sql<number>`coalesce(links.waits_until - ${clock.earliest}, 0)`.as('waitMs'),
    sql<number>`(select count(*) from link_files where link_files.link_id = links.id) + cast((
        select coalesce(sum(folders.files), 0) from link_folders inner join folders on folders.id = link_folders.folder_id
        where link_folders.link_id = links.id) as bigint)`.as('files'),
    sql<number>`(select count(*) from link_folders where link_folders.link_id = links.id)`.as('folders'),
    sql<string | null>`(select files.name from link_files inner join files on files.id = link_files.file_id
        where link_files.link_id = links.id order by link_files.position limit 1)`.as('firstName'),
    sql<string | null>`(select folders.name from link_folders inner join folders on folders.id = link_folders.folder_id
        where link_folders.link_id = links.id order by link_folders.position limit 1)`.as('firstFolder'),
  ]);
}

type LinkRow = Omit<LinkRecord, 'upload'> &
  Omit<UploadTerms & Taken, 'folder' | 'types'> & { folder: string | null; types: string | null };

/** Makes a record of a row of `selectLinks`. */
export function toLinkRecord({
  folder,
  mostBytes,
  mostFiles,
  mostFileBytes,
  types,
  sentFiles,
  sentBytes,
  ...link
}: LinkRow): LinkRecord {
  if (folder === null) return { ...link, upload: null };
  const limits = { mostBytes, mostFiles, mostFileBytes };
  const known = types === null ? null : (JSON.parse(types) as string[]);
  return { ...link, upload: { folder, ...limits, types: known, sentFiles, sentBytes } };
}

/** Writes the cursor of a page that begins after `last`. */
export function encodeLinkCursor({ createdAt, id }: Pick<LinkRecord, 'createdAt' | 'id'>): string {
  return Buffer.from(JSON.stringify(['link', createdAt, id])).toString('base64url');
}

/** Reads what `encodeLinkCursor` wrote. @throws CatalogError `invalid_cursor`. */
export function decodeLinkCursor(cursor: string): Pick<LinkRecord, 'createdAt' | 'id'> {
  try {
    const fields: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(fields) && fields.length === 3) {
      const [what, createdAt, id] = fields as unknown[];
      if (what === 'link' && Number.isSafeInteger(createdAt) && typeof id === 'string')
        return { createdAt: createdAt as number, id };
    }
  } catch {
    // Refused below.
  }
  throw new CatalogError('invalid_cursor', 'The cursor cannot be used: it is not one of this service.');
}
