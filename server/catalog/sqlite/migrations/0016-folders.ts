/**
 * Folders: a name may be a path. `files.name` is its last part, and the folders are rows. Triggers count what is below each
 * folder, and remove it with its last file. See docs/decisions/0063-folders.md.
 *
 * Also: what becomes of another file that has the name of an upload, and events of folders that were moved.
 */

/** The ids of a folder and of those that it is in. */
function chainOf(folder: string): string {
  return `(
    WITH RECURSIVE up (id, parent_id) AS (
      SELECT id, parent_id FROM folders WHERE id = ${folder}
      UNION ALL SELECT folders.id, folders.parent_id FROM up JOIN folders ON folders.id = up.parent_id
    ) SELECT id FROM up)`;
}

export const folders = `
CREATE TABLE folders (
  -- AUTOINCREMENT: a cursor that names a folder never means another one.
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  owner       TEXT NOT NULL,
  -- 0: it is at the top. No reference, so that rows can be copied in the order of their ids.
  parent_id   INTEGER NOT NULL,
  name        TEXT NOT NULL,
  folded_name TEXT NOT NULL,
  files       INTEGER NOT NULL DEFAULT 0,
  bytes       INTEGER NOT NULL DEFAULT 0,
  UNIQUE (owner, parent_id, name)
) STRICT;
CREATE INDEX folders_by_name ON folders (owner, parent_id, folded_name, id);

ALTER TABLE files ADD COLUMN folder_id INTEGER REFERENCES folders (id);
CREATE INDEX files_at_top ON files (owner, name, content_id) WHERE folder_id IS NULL;
CREATE INDEX files_in_folder ON files (folder_id, name, content_id) WHERE folder_id IS NOT NULL;
CREATE INDEX files_in_folder_by_uploaded ON files (folder_id, uploaded_at, id) WHERE folder_id IS NOT NULL;
CREATE INDEX files_in_folder_by_name ON files (folder_id, folded_name, id) WHERE folder_id IS NOT NULL;
CREATE INDEX files_in_folder_by_size ON files (folder_id, size, id) WHERE folder_id IS NOT NULL;
DROP INDEX files_by_content_owner_name;

CREATE TRIGGER folder_filled AFTER INSERT ON files WHEN new.folder_id IS NOT NULL BEGIN
  UPDATE folders SET files = files + 1, bytes = bytes + new.size WHERE id IN ${chainOf('new.folder_id')};
END;
CREATE TRIGGER folder_emptied AFTER DELETE ON files WHEN old.folder_id IS NOT NULL BEGIN
  UPDATE folders SET files = files - 1, bytes = bytes - old.size WHERE id IN ${chainOf('old.folder_id')};
  DELETE FROM folders WHERE files = 0 AND id IN ${chainOf('old.folder_id')};
END;
CREATE TRIGGER folder_changed AFTER UPDATE OF folder_id ON files WHEN old.folder_id IS NOT new.folder_id BEGIN
  UPDATE folders SET files = files + 1, bytes = bytes + new.size WHERE id IN ${chainOf('new.folder_id')};
  UPDATE folders SET files = files - 1, bytes = bytes - old.size WHERE id IN ${chainOf('old.folder_id')};
  DELETE FROM folders WHERE files = 0 AND id IN ${chainOf('old.folder_id')};
END;

ALTER TABLE uploads ADD COLUMN on_conflict TEXT CHECK (on_conflict = 'replace');

-- SQLite cannot change a CHECK. The last number that was given out stays known.
CREATE TABLE new_events (
  number      INTEGER PRIMARY KEY AUTOINCREMENT,
  owner       TEXT NOT NULL,
  kind        TEXT NOT NULL CHECK (kind IN ('published', 'renamed', 'deleted', 'moved')),
  at          INTEGER NOT NULL,
  file_id     TEXT NOT NULL,
  name        TEXT NOT NULL,
  type        TEXT,
  uploaded_at INTEGER NOT NULL,
  content_id  INTEGER NOT NULL,
  md5         TEXT NOT NULL,
  size        INTEGER NOT NULL,
  moved_from  TEXT CHECK ((moved_from IS NOT NULL) = (kind = 'moved'))
) STRICT;
INSERT INTO new_events SELECT *, NULL FROM events;
DELETE FROM sqlite_sequence WHERE name = 'new_events';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_events', seq FROM sqlite_sequence WHERE name = 'events';
DROP TABLE events;
ALTER TABLE new_events RENAME TO events;
CREATE INDEX events_by_owner ON events (owner, number);
`;
