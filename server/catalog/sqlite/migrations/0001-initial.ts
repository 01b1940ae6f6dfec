/**
 * Contents, files, uploads, parts, removals. Indexes are named for what they
 * answer; those on uploads are partial, so that the finished ones cost nothing.
 */
export const initial = `
CREATE TABLE contents (
  -- AUTOINCREMENT: the id of a deleted content is never given to another one.
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  md5          TEXT NOT NULL,
  sha1         TEXT,
  sha256       TEXT,
  size         INTEGER NOT NULL CHECK (size >= 0),
  variant      INTEGER NOT NULL CHECK (variant >= 0),
  key          TEXT NOT NULL UNIQUE,
  published_at INTEGER NOT NULL,
  UNIQUE (md5, variant)
) STRICT;
CREATE INDEX contents_by_sha1 ON contents (sha1, variant) WHERE sha1 IS NOT NULL;
CREATE INDEX contents_by_sha256 ON contents (sha256, variant) WHERE sha256 IS NOT NULL;

CREATE TABLE files (
  id          TEXT PRIMARY KEY NOT NULL,
  owner       TEXT NOT NULL,
  name        TEXT NOT NULL,
  folded_name TEXT NOT NULL,
  type        TEXT,
  uploaded_at INTEGER NOT NULL,
  content_id  INTEGER NOT NULL REFERENCES contents (id),
  size        INTEGER NOT NULL
) STRICT;
-- The folded name at the end lets a search pass over files without reading their rows.
CREATE INDEX files_by_uploaded ON files (owner, uploaded_at, id, folded_name);
CREATE INDEX files_by_name ON files (owner, folded_name, id);
CREATE INDEX files_by_size ON files (owner, size, id, folded_name);
CREATE INDEX files_by_content ON files (content_id, uploaded_at, id);
CREATE INDEX files_by_content_and_owner ON files (content_id, owner, uploaded_at, id);

CREATE TABLE uploads (
  id           TEXT PRIMARY KEY NOT NULL,
  owner        TEXT NOT NULL,
  state        TEXT NOT NULL
               CHECK (state IN ('receiving', 'complete', 'rejected', 'expired', 'terminated')),
  size         INTEGER CHECK (size >= 0),
  md5          TEXT,
  sha1         TEXT,
  sha256       TEXT,
  filename     TEXT,
  filetype     TEXT,
  metadata     TEXT NOT NULL,
  "offset"     INTEGER NOT NULL CHECK ("offset" >= 0),
  snapshot     BLOB,
  epoch        INTEGER NOT NULL,
  boot_id      TEXT,
  reason       TEXT,
  file_id      TEXT REFERENCES files (id) ON DELETE CASCADE,
  created_at   INTEGER NOT NULL,
  last_byte_at INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  ended_at     INTEGER,
  CHECK (size IS NULL OR "offset" <= size),
  CHECK ((state = 'complete') = (file_id IS NOT NULL))
) STRICT;
CREATE INDEX uploads_receiving_by_md5 ON uploads (md5, last_byte_at, id, owner)
  WHERE state = 'receiving';
CREATE INDEX uploads_receiving_by_expiry ON uploads (expires_at, id) WHERE state = 'receiving';
CREATE INDEX uploads_unpublished ON uploads (created_at, id)
  WHERE state = 'receiving' AND "offset" = size;
CREATE INDEX uploads_by_file ON uploads (file_id) WHERE file_id IS NOT NULL;
CREATE INDEX uploads_by_end ON uploads (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE parts (
  upload_id TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
  number    INTEGER NOT NULL,
  start     INTEGER NOT NULL,
  size      INTEGER NOT NULL,
  etag      TEXT NOT NULL,
  snapshot  BLOB NOT NULL,
  PRIMARY KEY (upload_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE removals (
  id  INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE
) STRICT;
`;
