/**
 * The trash: deleted files, and the links that they were in. See docs/decisions/0069-trash.md.
 *
 * A node of the version before knows nothing of it: it deletes files for good, and a trigger keeps it from deleting a content
 * that the trash needs.
 */
export const trash = `
CREATE TABLE trash (
  -- The file's, which gets it back.
  id          text COLLATE "C" PRIMARY KEY,
  owner       text COLLATE "C" NOT NULL,
  -- The whole path.
  name        text COLLATE "C" NOT NULL,
  type        text,
  uploaded_at bigint NOT NULL,
  content_id  bigint NOT NULL REFERENCES contents (id),
  size        bigint NOT NULL,
  deleted_at  bigint NOT NULL,
  -- Of a folder, and how many parts of the path were its own.
  deletion    text COLLATE "C",
  depth       bigint,
  CHECK ((deletion IS NULL) = (depth IS NULL))
);
CREATE INDEX trash_by_deleted ON trash (owner, deleted_at, id);
CREATE INDEX trash_by_age ON trash (deleted_at, id);
CREATE INDEX trash_by_content ON trash (content_id, owner);
CREATE INDEX trash_by_deletion ON trash (owner, deletion) WHERE deletion IS NOT NULL;

CREATE TABLE trash_links (
  -- No reference: a link may be forgotten at the moment in which its file is deleted.
  link_id  text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  file_id  text COLLATE "C" NOT NULL REFERENCES trash (id) ON DELETE CASCADE,
  PRIMARY KEY (link_id, position)
);
CREATE INDEX trash_links_by_file ON trash_links (file_id);

-- As owner_shares: several rows for each owner, so that transactions at once do not wait for one.
CREATE TABLE trash_shares (
  owner text COLLATE "C" NOT NULL,
  share integer NOT NULL,
  files bigint NOT NULL,
  bytes bigint NOT NULL,
  PRIMARY KEY (owner, share)
);
CREATE VIEW trash_totals AS
  SELECT owner, sum(files)::bigint AS files, sum(bytes)::bigint AS bytes FROM trash_shares GROUP BY owner;

CREATE FUNCTION count_trash() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  file   trash := CASE WHEN TG_OP = 'INSERT' THEN new ELSE old END;
  change integer := CASE WHEN TG_OP = 'INSERT' THEN 1 ELSE -1 END;
BEGIN
  INSERT INTO trash_shares AS known (owner, share, files, bytes)
    VALUES (file.owner, pg_backend_pid() % 16, change, change * file.size)
    ON CONFLICT (owner, share) DO UPDATE
      SET files = known.files + excluded.files, bytes = known.bytes + excluded.bytes;
  RETURN NULL;
END
$$;
-- At the commit: a deletion comes to the trash before it locks folders, and a restoration locks folders before.
CREATE CONSTRAINT TRIGGER trash_counted AFTER INSERT OR DELETE ON trash DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION count_trash();

CREATE FUNCTION keep_content_of_trash() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM trash WHERE content_id = old.id) THEN RETURN NULL; END IF;
  RETURN old;
END
$$;
CREATE TRIGGER contents_kept BEFORE DELETE ON contents FOR EACH ROW EXECUTE FUNCTION keep_content_of_trash();
`;
