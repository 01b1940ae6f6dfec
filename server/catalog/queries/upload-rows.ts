/** What the queries on uploads have in common: their columns. */

/** An UploadRecord's columns. */
export const UPLOAD_RECORD = [
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
  'last_byte_at as lastByteAt',
  'expires_at as expiresAt',
] as const;
