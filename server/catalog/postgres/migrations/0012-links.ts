/** Links: addresses by which files can be had without an account. See docs/decisions/0065-download-links.md. */
export const links = `
CREATE TABLE links (
  id              text COLLATE "C" PRIMARY KEY,
  owner           text COLLATE "C" NOT NULL,
  kind            text NOT NULL,
  -- SHA-256, in hexadecimal digits: the secret itself is kept nowhere.
  secret_hash     text COLLATE "C" NOT NULL UNIQUE,
  name            text,
  created_at      bigint NOT NULL,
  expires_at      bigint,
  password        text,
  wrong_passwords bigint NOT NULL DEFAULT 0,
  waits_until     bigint,
  most_downloads  bigint CHECK (most_downloads > 0),
  downloads       bigint NOT NULL DEFAULT 0 CHECK (downloads >= 0),
  revoked_at      bigint,
  last_used_at    bigint,
  empty_since     bigint
);
CREATE INDEX links_by_owner ON links (owner, created_at, id);

CREATE TABLE link_files (
  link_id  text COLLATE "C" NOT NULL REFERENCES links (id) ON DELETE CASCADE,
  position bigint NOT NULL,
  file_id  text COLLATE "C" NOT NULL REFERENCES files (id) ON DELETE CASCADE,
  PRIMARY KEY (link_id, position)
);
CREATE INDEX link_files_by_file ON link_files (file_id);
`;
