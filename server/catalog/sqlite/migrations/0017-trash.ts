/** The trash: deleted files, and the links that they were in. See docs/decisions/0069-trash.md. */
export const trash = `
CREATE TABLE trash (
  -- The file's, which gets it back.
  id          TEXT PRIMARY KEY NOT NULL,
  owner       TEXT NOT NULL,
  -- The whole path.
  name        TEXT NOT NULL,
  type        TEXT,
  uploaded_at INTEGER NOT NULL,
  content_id  INTEGER NOT NULL REFERENCES contents (id),
  size        INTEGER NOT NULL,
  deleted_at  INTEGER NOT NULL,
  -- Of a folder, and how many parts of the path were its own.
  deletion    TEXT,
  depth       INTEGER,
  CHECK ((deletion IS NULL) = (depth IS NULL))
) STRICT;
CREATE INDEX trash_by_deleted ON trash (owner, deleted_at, id);
CREATE INDEX trash_by_age ON trash (deleted_at, id);
CREATE INDEX trash_by_content ON trash (content_id, owner);
CREATE INDEX trash_by_deletion ON trash (owner, deletion) WHERE deletion IS NOT NULL;

CREATE TABLE trash_links (
  -- No reference: a link may be forgotten at the moment in which its file is deleted.
  link_id  TEXT NOT NULL,
  position INTEGER NOT NULL,
  file_id  TEXT NOT NULL REFERENCES trash (id) ON DELETE CASCADE,
  PRIMARY KEY (link_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX trash_links_by_file ON trash_links (file_id);
`;
