/**
 * Folders: a name may be a path. `files.name` is its last part, and the folders are rows. Triggers count what is below each
 * folder, and remove it with its last file; so they do for nodes of the version before. See docs/decisions/0063-folders.md.
 *
 * Also: what becomes of another file that has the name of an upload, events of folders that were moved, and the functions of 0008
 * and 0010 with names that are paths.
 *
 * Locks are taken in this order: contents, files, the owner's tree, a name at the top or folders from the top down. The tree is
 * shared by those that add and delete files in folders, and held alone by those that move something.
 */
export const folders = `
CREATE TABLE folders (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  owner       text COLLATE "C" NOT NULL,
  -- 0: it is at the top. No reference, so that rows can be copied in the order of their ids.
  parent_id   bigint NOT NULL,
  name        text COLLATE "C" NOT NULL,
  folded_name text COLLATE "C" NOT NULL,
  files       bigint NOT NULL DEFAULT 0,
  bytes       bigint NOT NULL DEFAULT 0,
  UNIQUE (owner, parent_id, name)
);
CREATE INDEX folders_by_name ON folders (owner, parent_id, folded_name, id);

ALTER TABLE files ADD COLUMN folder_id bigint REFERENCES folders (id);
CREATE INDEX files_at_top ON files (owner, name, content_id) WHERE folder_id IS NULL;
CREATE INDEX files_in_folder ON files (folder_id, name, content_id) WHERE folder_id IS NOT NULL;
CREATE INDEX files_in_folder_by_uploaded ON files (folder_id, uploaded_at, id) WHERE folder_id IS NOT NULL;
CREATE INDEX files_in_folder_by_name ON files (folder_id, folded_name, id) WHERE folder_id IS NOT NULL;
CREATE INDEX files_in_folder_by_size ON files (folder_id, size, id) WHERE folder_id IS NOT NULL;
DROP INDEX files_by_content_owner_name;

-- Adds to a folder and to those that it is in, from the top down. The caller has a lock on the owner's tree.
CREATE FUNCTION count_in_folders(folder bigint, more_files bigint, more_bytes bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  chain   bigint[];
  current bigint;
BEGIN
  WITH RECURSIVE up (id, parent_id, height) AS (
    SELECT id, parent_id, 0 FROM folders WHERE id = folder
    UNION ALL SELECT folders.id, folders.parent_id, up.height + 1 FROM up JOIN folders ON folders.id = up.parent_id
  ) SELECT array_agg(id ORDER BY height DESC) INTO chain FROM up;
  FOREACH current IN ARRAY chain LOOP
    UPDATE folders SET files = files + more_files, bytes = bytes + more_bytes WHERE id = current;
  END LOOP;
  IF more_files < 0 THEN
    DELETE FROM folders WHERE id = ANY (chain) AND files = 0;
  END IF;
END
$$;

CREATE FUNCTION share_tree(of_owner text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('folders of ' || of_owner, 0));
END
$$;

CREATE FUNCTION count_in_folder() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'DELETE' AND new.folder_id IS NOT NULL THEN
    PERFORM share_tree(new.owner);
    PERFORM count_in_folders(new.folder_id, 1, new.size);
  END IF;
  IF TG_OP <> 'INSERT' AND old.folder_id IS NOT NULL THEN
    PERFORM share_tree(old.owner);
    PERFORM count_in_folders(old.folder_id, -1, -old.size);
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER folders_counted AFTER INSERT OR DELETE ON files FOR EACH ROW EXECUTE FUNCTION count_in_folder();
CREATE TRIGGER folders_changed AFTER UPDATE OF folder_id ON files FOR EACH ROW
  WHEN (old.folder_id IS DISTINCT FROM new.folder_id) EXECUTE FUNCTION count_in_folder();

-- The innermost of these folders, given from the top down as JSON arrays of names and folded names. Creates those that are
-- missing, and locks all of them. NULL: the top.
CREATE FUNCTION take_folders(of_owner text, names jsonb, folded jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  parent bigint := 0;
BEGIN
  IF jsonb_array_length(names) = 0 THEN RETURN NULL; END IF;
  PERFORM share_tree(of_owner);
  FOR place IN 0 .. jsonb_array_length(names) - 1 LOOP
    INSERT INTO folders AS known (owner, parent_id, name, folded_name)
      VALUES (of_owner, parent, names ->> place, folded ->> place)
      ON CONFLICT (owner, parent_id, name) DO UPDATE SET files = known.files RETURNING id INTO parent;
  END LOOP;
  RETURN parent;
END
$$;

ALTER TABLE uploads ADD COLUMN on_conflict text CHECK (on_conflict = 'replace');

-- As begin_upload_of_kind, for one that replaces a file.
CREATE FUNCTION begin_replacing_upload(
  new_id text, new_owner text, new_size bigint, new_md5 text, new_sha1 text, new_sha256 text, new_filename text,
  new_filetype text, new_metadata text, new_holder text, new_phase text, at bigint, life_ms bigint, max_open bigint,
  new_kind text, partial_ids text
) RETURNS TABLE ("createdAt" bigint, "expiresAt" bigint) LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY SELECT * FROM begin_upload_of_kind(new_id, new_owner, new_size, new_md5, new_sha1, new_sha256, new_filename,
    new_filetype, new_metadata, new_holder, new_phase, at, life_ms, max_open, new_kind, partial_ids);
  UPDATE uploads SET on_conflict = 'replace' WHERE id = new_id;
END
$$;

ALTER TABLE events DROP CONSTRAINT events_kind_check;
ALTER TABLE events ADD CONSTRAINT events_kind_check CHECK (kind IN ('published', 'renamed', 'deleted', 'moved'));
ALTER TABLE events ADD COLUMN moved_from text CHECK ((moved_from IS NOT NULL) = (kind = 'moved'));

-- Whether a file in the folder has the name; NULL: at the top.
CREATE FUNCTION is_name_taken(of_owner text, folder bigint, wanted text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF folder IS NULL THEN
    RETURN EXISTS (SELECT FROM files WHERE owner = of_owner AND folder_id IS NULL AND name = wanted);
  END IF;
  RETURN EXISTS (SELECT FROM files WHERE folder_id = folder AND name = wanted);
END
$$;

-- Nobody else takes the name until the transaction ends. In a folder, its row is locked.
CREATE FUNCTION hold_name(of_owner text, folder bigint, wanted text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF folder IS NULL THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('file of ' || of_owner || ': ' || wanted, 0));
  END IF;
END
$$;

-- A number with which no file has the name, which is held. As freeName in queries/free-name.ts.
CREATE FUNCTION free_number(of_owner text, folder bigint, stem text, extension text) RETURNS bigint
  LANGUAGE plpgsql AS $$
DECLARE
  taken  bigint := 1;
  free   bigint;
  middle bigint;
BEGIN
  LOOP
    free := taken * 2;
    WHILE is_name_taken(of_owner, folder, stem || ' (' || free || ')' || extension) LOOP
      taken := free;
      free := free * 2;
    END LOOP;
    WHILE free - taken > 1 LOOP
      middle := (taken + free) / 2;
      IF is_name_taken(of_owner, folder, stem || ' (' || middle || ')' || extension) THEN
        taken := middle;
      ELSE
        free := middle;
      END IF;
    END LOOP;
    PERFORM hold_name(of_owner, folder, stem || ' (' || free || ')' || extension);
    IF NOT is_name_taken(of_owner, folder, stem || ' (' || free || ')' || extension) THEN RETURN free; END IF;
    taken := free;
  END LOOP;
END
$$;

-- The number between a name's stem and extension; NULL where it has none.
CREATE FUNCTION number_in(name text, stem text, extension text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT substring(
    substr(name, length(stem) + 3, greatest(length(name) - length(stem) - length(extension) - 3, 0)) FROM '^[1-9][0-9]{0,7}$')
$$;

-- The content is the one by this id, or else a new one. Where another file has the name, it gets a number between stem and
-- extension. outcome: 'published', 'lost' and 'conflict' as in the contract; 'steps' where nothing was changed, as the key may be
-- waiting for removal, or the file that has the name is to be replaced. The name in the answer is the last part of it.
CREATE FUNCTION publish_named_upload(
  upload_id_ text, lease_epoch bigint, at bigint, join_id bigint, new_md5 text, new_sha1 text, new_sha256 text,
  new_size bigint, new_variant bigint, new_key text, file_id_ text, file_owner text, file_name text, folded text,
  file_type text, forgets boolean, new_proof text, replaces boolean, stem text, extension text, folded_stem text,
  folded_extension text, folder_names jsonb, folder_folds jsonb, folder_path text
) RETURNS TABLE (outcome text, id text, owner text, name text, type text, "uploadedAt" bigint, "contentId" bigint,
  md5 text, sha1 text, sha256 text, size bigint, variant bigint, key text, "publishedAt" bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  upload_size bigint;
  content     contents;
  file        files;
  folder      bigint;
  number      bigint;
BEGIN
  SELECT size INTO upload_size FROM uploads
    WHERE id = upload_id_ AND epoch = lease_epoch AND state = 'receiving' FOR UPDATE;
  IF NOT FOUND THEN
    outcome := 'lost';
    RETURN NEXT;
    RETURN;
  END IF;

  IF join_id IS NOT NULL THEN
    -- It does not go until this is over.
    SELECT * INTO content FROM contents WHERE id = join_id FOR UPDATE;
  ELSE
    INSERT INTO contents (md5, sha1, sha256, size, variant, key, published_at, proof)
      VALUES (new_md5, new_sha1, new_sha256, new_size, new_variant, new_key, at, new_proof)
      ON CONFLICT DO NOTHING RETURNING * INTO content;
  END IF;
  IF NOT FOUND THEN
    outcome := 'conflict';
    RETURN NEXT;
    RETURN;
  END IF;
  IF upload_size <> content.size THEN
    RAISE EXCEPTION 'upload % of % bytes cannot become content of % bytes', upload_id_, upload_size, content.size;
  END IF;
  IF join_id IS NULL AND EXISTS (SELECT FROM removals WHERE key = new_key) THEN
    DELETE FROM contents WHERE id = content.id;
    outcome := 'steps';
    RETURN NEXT;
    RETURN;
  END IF;

  folder := take_folders(file_owner, folder_names, folder_folds);
  PERFORM hold_name(file_owner, folder, file_name);
  IF is_name_taken(file_owner, folder, file_name) THEN
    -- The file of the same content by this name, or by this name with a number.
    SELECT * INTO file FROM files
      WHERE content_id = content.id AND owner = file_owner AND coalesce(folder_id, 0) = coalesce(folder, 0)
        AND (name = file_name OR name = stem || ' (' || number_in(name, stem, extension) || ')' || extension)
      ORDER BY name <> file_name LIMIT 1;
    IF file.id IS NULL AND replaces THEN
      IF join_id IS NULL THEN DELETE FROM contents WHERE id = content.id; END IF;
      outcome := 'steps';
      RETURN NEXT;
      RETURN;
    END IF;
    IF file.id IS NULL THEN
      number := free_number(file_owner, folder, stem, extension);
      file_name := stem || ' (' || number || ')' || extension;
      folded := folded_stem || ' (' || number || ')' || folded_extension;
    END IF;
  END IF;

  IF file.id IS NULL THEN
    INSERT INTO files (id, owner, name, folded_name, type, uploaded_at, content_id, size, folder_id)
      VALUES (file_id_, file_owner, file_name, folded, file_type, at, content.id, content.size, folder)
      RETURNING * INTO file;
    INSERT INTO events (owner, kind, at, file_id, name, type, uploaded_at, content_id, md5, size)
      VALUES (file.owner, 'published', publish_named_upload.at, file.id, concat_ws('/', folder_path, file.name), file.type,
        file.uploaded_at, content.id, content.md5, content.size);
  END IF;
  UPDATE uploads SET state = 'complete', "offset" = content.size, size = content.size, file_id = file.id,
      snapshot = NULL, phase = NULL, store_state = CASE WHEN forgets THEN NULL ELSE store_state END
    WHERE id = upload_id_;
  DELETE FROM parts WHERE upload_id = upload_id_;
  RETURN QUERY SELECT 'published', file.id, file.owner, file.name, file.type, file.uploaded_at, content.id, content.md5,
    content.sha1, content.sha256, content.size, content.variant, content.key, content.published_at;
END
$$;
`;
