/**
 * What happened to files, and how far each owner's events are forgotten. A row has the file as it was then, but for
 * its digests other than MD5: whether those may be told is decided when the row is read. The secret is for cursors.
 */
export const events = `
CREATE TABLE events (
  -- AUTOINCREMENT: a number that a listener knows never stands for another event.
  number      INTEGER PRIMARY KEY AUTOINCREMENT,
  owner       TEXT NOT NULL,
  kind        TEXT NOT NULL CHECK (kind IN ('published', 'renamed', 'deleted')),
  at          INTEGER NOT NULL,
  file_id     TEXT NOT NULL,
  name        TEXT NOT NULL,
  type        TEXT,
  uploaded_at INTEGER NOT NULL,
  content_id  INTEGER NOT NULL,
  md5         TEXT NOT NULL,
  size        INTEGER NOT NULL
) STRICT;
CREATE INDEX events_by_owner ON events (owner, number);

CREATE TABLE forgotten_events (
  owner  TEXT PRIMARY KEY NOT NULL,
  number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX forgotten_events_by_number ON forgotten_events (number);

INSERT INTO meta (key, value) VALUES ('event_secret', lower(hex(randomblob(16))));
`;
