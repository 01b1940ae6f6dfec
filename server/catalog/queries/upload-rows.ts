/** The columns that the queries on uploads share. */
import { sql } from 'kysely';
import type { SqlClock } from './clock.ts';

/** The columns of an UploadRecord that are stored in its row. */
const STORED = [
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
  'on_conflict as onConflict',
  'metadata',
  'offset',
  'snapshot',
  'epoch',
  'holder',
  'phase',
  'store_state as storeState',
  'reason',
  'file_id as fileId',
  'expected_size as expectedSize',
  'link_id as linkId',
  'created_at as createdAt',
  'expires_at as expiresAt',
] as const;

/** All columns of an UploadRecord, with the times that depend on the clock. */
export function uploadRecord({ steady, earliest }: SqlClock) {
  return [
    ...STORED,
    sql<number>`expires_at - ${earliest}`.as('leftMs'),
    // A time that was recorded while the clock was ahead may be in the future.
    sql<number>`case when last_byte_at < ${steady} then ${steady} - last_byte_at else 0 end`.as('idleMs'),
  ] as const;
}
