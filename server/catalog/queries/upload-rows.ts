/** What the queries on uploads have in common: their columns. */
import { sql } from 'kysely';
import type { SqlClock } from './clock.ts';

/** An UploadRecord's columns as they stand in its row. */
const STORED = [
  'id',
  'owner',
  'state',
  'size',
  'md5',
  'sha1',
  'sha256',
  'filename',
  'filetype',
  'metadata',
  'offset',
  'snapshot',
  'epoch',
  'holder',
  'phase',
  'store_state as storeState',
  'reason',
  'file_id as fileId',
  'created_at as createdAt',
  'expires_at as expiresAt',
] as const;

/** An UploadRecord's columns. */
export function uploadRecord({ steady, earliest }: SqlClock) {
  return [
    ...STORED,
    sql<number>`expires_at - ${earliest}`.as('leftMs'),
    // What was noted while an earlier clock was ahead lies in the future.
    sql<number>`case when last_byte_at < ${steady} then ${steady} - last_byte_at else 0 end`.as('idleMs'),
  ] as const;
}
