/**
 * The rows of a catalog as they stand, so that it can be moved into another one: see
 * docs/decisions/0044-moving-to-another-catalog.md. For catalogs that no service has open.
 *
 * What must hold:
 * - Nothing is judged, counted or told: the rows of the target are those of the source.
 * - Rows that are inserted again change nothing.
 */
import type { Selectable } from 'kysely';
import type { Tables } from './schema.ts';

/**
 * What is copied, in an order in which rows only refer to rows before them: columns, and those by which the rows of a
 * table are ordered. The catalog gives removals ids of its own; totals, also of folders, nodes, claims and asks are not
 * copied. Links come after uploads, as triggers of `uploads` count in their rows.
 */
export const COPIED = {
  contents: {
    columns: ['id', 'md5', 'sha1', 'sha256', 'size', 'variant', 'key', 'published_at', 'proof', 'seal'],
    key: ['id'],
  },
  folders: { columns: ['id', 'owner', 'parent_id', 'name', 'folded_name'], key: ['id'] },
  files: {
    columns: ['id', 'owner', 'name', 'folded_name', 'type', 'uploaded_at', 'content_id', 'size', 'folder_id'],
    key: ['id'],
  },
  uploads: {
    columns: [
      'id',
      'owner',
      'kind',
      'state',
      'size',
      'md5',
      'sha1',
      'sha256',
      'filename',
      'filetype',
      'on_conflict',
      'metadata',
      'offset',
      'snapshot',
      'epoch',
      'holder',
      'phase',
      'store_state',
      'reason',
      'file_id',
      'expected_size',
      'created_at',
      'last_byte_at',
      'expires_at',
      'ended_at',
      'link_id',
      'sender',
      'note',
    ],
    key: ['id'],
  },
  parts: { columns: ['upload_id', 'number', 'start', 'size', 'etag', 'snapshot'], key: ['upload_id', 'number'] },
  final_partials: { columns: ['final_id', 'position', 'partial_id'], key: ['final_id', 'position'] },
  links: {
    columns: [
      'id',
      'owner',
      'kind',
      'secret_hash',
      'name',
      'created_at',
      'expires_at',
      'password',
      'wrong_passwords',
      'waits_until',
      'most_downloads',
      'downloads',
      'revoked_at',
      'last_used_at',
      'empty_since',
      'folder',
      'most_bytes',
      'most_files',
      'most_file_bytes',
      'types',
      'sent_files',
      'sent_bytes',
    ],
    key: ['id'],
  },
  link_files: { columns: ['link_id', 'position', 'file_id'], key: ['link_id', 'position'] },
  trash: {
    columns: ['id', 'owner', 'name', 'type', 'uploaded_at', 'content_id', 'size', 'deleted_at', 'deletion', 'depth'],
    key: ['id'],
  },
  trash_links: { columns: ['link_id', 'position', 'file_id'], key: ['link_id', 'position'] },
  trash_link_folders: {
    columns: ['file_id', 'link_id', 'position', 'depth'],
    key: ['file_id', 'link_id', 'position'],
  },
  link_folders: { columns: ['link_id', 'position', 'folder_id'], key: ['link_id', 'position'] },
  removals: { columns: ['key', 'md5'], key: ['key'] },
  events: {
    columns: [
      'number',
      'owner',
      'kind',
      'at',
      'file_id',
      'name',
      'type',
      'uploaded_at',
      'content_id',
      'md5',
      'size',
      'moved_from',
    ],
    key: ['number'],
  },
  forgotten_events: { columns: ['owner', 'number'], key: ['owner'] },
} as const satisfies { [Table in keyof Tables]?: { columns: (keyof Tables[Table])[]; key: (keyof Tables[Table])[] } };

export type CopiedTable = keyof typeof COPIED;
export const COPIED_TABLES = Object.keys(COPIED) as CopiedTable[];

export type CopiedRow<Table extends CopiedTable> = Pick<
  Selectable<Tables[Table]>,
  (typeof COPIED)[Table]['columns'][number] & keyof Selectable<Tables[Table]>
>;

/** Keys of `meta` that say something of this database or of its service, not of what the catalog knows. */
export const OWN_META: readonly string[] = ['clock', 'log', 'holder', 'place', 'left_behind'];

/** The values of a table's key columns. */
export type RowKey = readonly (string | number)[];

/** The last numbers that were given out, which are never given again. */
export interface Counters {
  contents: number;
  folders: number;
  events: number;
}

export interface CatalogRows {
  /** Rows of a table, by its key, after this one. */
  list<Table extends CopiedTable>(table: Table, after: RowKey | null, limit: number): Promise<CopiedRow<Table>[]>;
  /** The largest key in a table; null where it is empty. */
  lastKey(table: CopiedTable): Promise<RowKey | null>;
  /** Adds rows, all or none. Those whose key is there stay as they are. */
  insert<Table extends CopiedTable>(table: Table, rows: readonly CopiedRow<Table>[]): Promise<void>;
  count(table: CopiedTable): Promise<number>;
  /** Sizes of all rows together. */
  sumSizes(table: 'contents' | 'files'): Promise<number>;
  /** Files of a content, the oldest first, and then those in the trash. `path`: the name with its folders. */
  filesOf(
    contentId: number,
    limit: number,
  ): Promise<(Pick<CopiedRow<'files'>, 'id' | 'owner' | 'name' | 'type'> & { path: string })[]>;
  countReceiving(): Promise<number>;
  /** Uploads of one owner, whatever their state. */
  uploadsOf(owner: string): Promise<string[]>;
  /** Removes uploads and their parts. */
  removeUploads(ids: readonly string[]): Promise<void>;
  /** What is known of the catalog itself, without `OWN_META`. */
  listMeta(): Promise<{ key: string; value: string }[]>;
  /** All or none; null removes a key. */
  setMeta(values: Readonly<Record<string, string | null>>): Promise<void>;
  counters(): Promise<Counters>;
  /** From now on larger numbers are given out. */
  raiseCounters(counters: Counters): Promise<void>;
}
