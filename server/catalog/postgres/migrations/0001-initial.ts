/**
 * All that SQLite's catalog has, in PostgreSQL's words. Text is ordered by its bytes (COLLATE "C"), as SQLite orders
 * it. Indexes are named for what they answer; those on uploads are partial, so that the finished ones cost nothing.
 */
export const initial = `
CREATE TABLE meta (
  key   text COLLATE "C" PRIMARY KEY,
  value text NOT NULL
);
-- A UUID of version 4 has 122 random bits.
INSERT INTO meta (key, value)
  SELECT key, substr(encode(sha256(convert_to(concat(gen_random_uuid(), gen_random_uuid()), 'UTF8')), 'hex'), 1, 32)
  FROM (VALUES ('id'), ('event_secret')) AS made (key);

CREATE TABLE contents (
  -- Of a sequence: the id of a deleted content is never given to another one.
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  md5          text COLLATE "C" NOT NULL,
  sha1         text COLLATE "C",
  sha256       text COLLATE "C",
  size         bigint NOT NULL CHECK (size >= 0),
  variant      bigint NOT NULL CHECK (variant >= 0),
  key          text COLLATE "C" NOT NULL UNIQUE,
  published_at bigint NOT NULL,
  UNIQUE (md5, variant)
);
CREATE INDEX contents_by_sha1 ON contents (sha1, variant) WHERE sha1 IS NOT NULL;
CREATE INDEX contents_by_sha256 ON contents (sha256, variant) WHERE sha256 IS NOT NULL;
CREATE INDEX contents_without_sha1 ON contents (id) WHERE sha1 IS NULL;

CREATE TABLE files (
  id          text COLLATE "C" PRIMARY KEY,
  owner       text COLLATE "C" NOT NULL,
  name        text COLLATE "C" NOT NULL,
  folded_name text COLLATE "C" NOT NULL,
  type        text,
  uploaded_at bigint NOT NULL,
  content_id  bigint NOT NULL REFERENCES contents (id),
  size        bigint NOT NULL
);
CREATE INDEX files_by_uploaded ON files (owner, uploaded_at, id);
CREATE INDEX files_by_name ON files (owner, folded_name, id);
CREATE INDEX files_by_size ON files (owner, size, id);
CREATE INDEX files_by_content_and_owner ON files (content_id, owner, uploaded_at, id);
CREATE INDEX files_by_content_owner_name ON files (content_id, owner, name);

-- Several rows for each owner, so that transactions at once do not wait for one: their sum counts.
CREATE TABLE owner_shares (
  owner text COLLATE "C" NOT NULL,
  share integer NOT NULL,
  files bigint NOT NULL,
  bytes bigint NOT NULL,
  PRIMARY KEY (owner, share)
);
CREATE VIEW owner_totals AS
  SELECT owner, sum(files)::bigint AS files, sum(bytes)::bigint AS bytes FROM owner_shares GROUP BY owner;

CREATE FUNCTION count_file() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  file   files := CASE WHEN TG_OP = 'INSERT' THEN new ELSE old END;
  change integer := CASE WHEN TG_OP = 'INSERT' THEN 1 ELSE -1 END;
BEGIN
  INSERT INTO owner_shares AS known (owner, share, files, bytes)
    VALUES (file.owner, pg_backend_pid() % 16, change, change * file.size)
    ON CONFLICT (owner, share) DO UPDATE
      SET files = known.files + excluded.files, bytes = known.bytes + excluded.bytes;
  RETURN NULL;
END
$$;
CREATE TRIGGER files_counted AFTER INSERT OR DELETE ON files FOR EACH ROW EXECUTE FUNCTION count_file();

CREATE TABLE uploads (
  id           text COLLATE "C" PRIMARY KEY,
  owner        text COLLATE "C" NOT NULL,
  state        text NOT NULL
               CHECK (state IN ('receiving', 'complete', 'rejected', 'expired', 'terminated')),
  size         bigint CHECK (size >= 0),
  md5          text COLLATE "C",
  sha1         text COLLATE "C",
  sha256       text COLLATE "C",
  filename     text,
  filetype     text,
  metadata     text NOT NULL,
  "offset"     bigint NOT NULL CHECK ("offset" >= 0),
  snapshot     bytea,
  epoch        bigint NOT NULL,
  holder       text COLLATE "C",
  phase        text CHECK (phase IN ('receiving', 'publishing', 'unrecovered')),
  store_state  text,
  reason       text,
  file_id      text COLLATE "C" REFERENCES files (id) ON DELETE CASCADE,
  created_at   bigint NOT NULL,
  last_byte_at bigint NOT NULL,
  expires_at   bigint NOT NULL,
  ended_at     bigint,
  CHECK (size IS NULL OR "offset" <= size),
  CHECK ((state = 'complete') = (file_id IS NOT NULL))
);
CREATE INDEX uploads_receiving_by_md5 ON uploads (md5, last_byte_at, id)
  WHERE state = 'receiving' AND md5 IS NOT NULL;
CREATE INDEX uploads_receiving_by_owner_and_md5 ON uploads (owner, md5, last_byte_at, id)
  WHERE state = 'receiving' AND md5 IS NOT NULL;
CREATE INDEX uploads_receiving_by_owner ON uploads (owner) WHERE state = 'receiving';
CREATE INDEX uploads_receiving_by_expiry ON uploads (expires_at, id) WHERE state = 'receiving';
CREATE INDEX uploads_unpublished ON uploads (created_at, id) WHERE state = 'receiving' AND "offset" = size;
CREATE INDEX uploads_by_file ON uploads (file_id) WHERE file_id IS NOT NULL;
CREATE INDEX uploads_by_end ON uploads (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX uploads_to_discard ON uploads (id) WHERE store_state IS NOT NULL AND state <> 'receiving';

CREATE TABLE parts (
  upload_id text COLLATE "C" NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
  number    bigint NOT NULL,
  start     bigint NOT NULL,
  size      bigint NOT NULL,
  etag      text NOT NULL,
  snapshot  bytea NOT NULL,
  PRIMARY KEY (upload_id, number)
);

CREATE TABLE removals (
  id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text COLLATE "C" NOT NULL UNIQUE,
  md5 text COLLATE "C"
);

CREATE TABLE events (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Given after the commit: see with-numbered-events.ts.
  number      bigint UNIQUE,
  owner       text COLLATE "C" NOT NULL,
  kind        text NOT NULL CHECK (kind IN ('published', 'renamed', 'deleted')),
  at          bigint NOT NULL,
  file_id     text COLLATE "C" NOT NULL,
  name        text COLLATE "C" NOT NULL,
  type        text,
  uploaded_at bigint NOT NULL,
  content_id  bigint NOT NULL,
  md5         text COLLATE "C" NOT NULL,
  size        bigint NOT NULL
);
CREATE INDEX events_by_owner ON events (owner, number);
CREATE INDEX events_without_number ON events (id) WHERE number IS NULL;
-- One row: the last number that was given, and the lock of whoever gives numbers.
CREATE TABLE event_numbers (last bigint NOT NULL);
INSERT INTO event_numbers VALUES (0);

CREATE TABLE forgotten_events (
  owner  text COLLATE "C" PRIMARY KEY,
  number bigint NOT NULL
);
CREATE INDEX forgotten_events_by_number ON forgotten_events (number);

CREATE TABLE nodes (
  id      text COLLATE "C" PRIMARY KEY,
  seen_at double precision NOT NULL
);
CREATE TABLE claims (
  name  text COLLATE "C" PRIMARY KEY,
  node  text COLLATE "C" NOT NULL,
  until double precision NOT NULL
);
`;
