/** Links: addresses by which files can be had without an account. See docs/decisions/0065-download-links.md. */
export const links = `
CREATE TABLE links (
  id              TEXT PRIMARY KEY NOT NULL,
  owner           TEXT NOT NULL,
  kind            TEXT NOT NULL,
  -- SHA-256, in hexadecimal digits: the secret itself is kept nowhere.
  secret_hash     TEXT NOT NULL UNIQUE,
  name            TEXT,
  created_at      INTEGER NOT NULL,
  expires_at      INTEGER,
  password        TEXT,
  wrong_passwords INTEGER NOT NULL DEFAULT 0,
  waits_until     INTEGER,
  most_downloads  INTEGER CHECK (most_downloads > 0),
  downloads       INTEGER NOT NULL DEFAULT 0 CHECK (downloads >= 0),
  revoked_at      INTEGER,
  last_used_at    INTEGER,
  empty_since     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX links_by_owner ON links (owner, created_at, id);

CREATE TABLE link_files (
  link_id  TEXT NOT NULL REFERENCES links (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  file_id  TEXT NOT NULL REFERENCES files (id) ON DELETE CASCADE,
  PRIMARY KEY (link_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_files_by_file ON link_files (file_id);
`;
