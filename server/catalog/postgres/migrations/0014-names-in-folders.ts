/**
 * Mends of 0013: `publish_named_upload` replaces the file that has the name, even where the same bytes have it with a number; the
 * search for such a file goes along an index, whatever else has those bytes or that name; owners are counted after folders, the
 * order in which uploads lock both; and a node of the version before, which knows no folders, leaves no path as a name.
 */
export const namesInFolders = `
-- Triggers fire in the order of their names.
ALTER TRIGGER files_counted ON files RENAME TO owners_counted;

-- Whether a name has a number between the stem and the extension.
CREATE FUNCTION has_number(name text, stem text, extension text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(
    number_in(name, stem, extension) <> '1'
      AND name = stem || ' (' || number_in(name, stem, extension) || ')' || extension, false)
$$;

-- The file of a content that has a name with a number. As findNumbered in queries/free-name.ts.
CREATE FUNCTION find_numbered(of_owner text, folder bigint, of_content bigint, stem text, extension text)
  RETURNS SETOF files LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT count(*) FROM (SELECT FROM files WHERE content_id = of_content AND owner = of_owner LIMIT 100) AS alike) < 100 THEN
    RETURN QUERY SELECT * FROM files
      WHERE content_id = of_content AND owner = of_owner AND coalesce(folder_id, 0) = coalesce(folder, 0)
        AND has_number(name, stem, extension) LIMIT 1;
  ELSIF folder IS NULL THEN
    RETURN QUERY SELECT * FROM files
      WHERE owner = of_owner AND folder_id IS NULL AND name > stem || ' (' AND name < stem || ' )'
        AND content_id = of_content AND has_number(name, stem, extension) ORDER BY name LIMIT 1;
  ELSE
    RETURN QUERY SELECT * FROM files
      WHERE folder_id = folder AND name > stem || ' (' AND name < stem || ' )'
        AND content_id = of_content AND has_number(name, stem, extension) ORDER BY name LIMIT 1;
  END IF;
END
$$;

-- The file of a content that has exactly this name.
CREATE FUNCTION find_named(of_owner text, folder bigint, of_content bigint, wanted text)
  RETURNS SETOF files LANGUAGE plpgsql AS $$
BEGIN
  IF folder IS NULL THEN
    RETURN QUERY SELECT * FROM files
      WHERE owner = of_owner AND folder_id IS NULL AND name = wanted AND content_id = of_content LIMIT 1;
  ELSE
    RETURN QUERY SELECT * FROM files WHERE folder_id = folder AND name = wanted AND content_id = of_content LIMIT 1;
  END IF;
END
$$;

-- As in 0013; but where another file of the name is to be replaced, no number counts as the name.
CREATE OR REPLACE FUNCTION publish_named_upload(
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
    SELECT * INTO file FROM find_named(file_owner, folder, content.id, file_name);
    IF file.id IS NULL AND replaces THEN
      IF join_id IS NULL THEN DELETE FROM contents WHERE id = content.id; END IF;
      outcome := 'steps';
      RETURN NEXT;
      RETURN;
    END IF;
    IF file.id IS NULL THEN
      SELECT * INTO file FROM find_numbered(file_owner, folder, content.id, stem, extension);
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

-- A file whose name is a path, from a node that knows no folders, comes into its folders. A name that is taken there gets no
-- number: such a node gives none.
CREATE FUNCTION place_by_path() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  names text[] := string_to_array(new.name, '/');
  folds text[] := string_to_array(new.folded_name, '/');
  last  integer := cardinality(names);
BEGIN
  -- Some characters fold to a slash.
  IF cardinality(folds) <> last THEN folds := names; END IF;
  new.folder_id := take_folders(new.owner, to_jsonb(names[:last - 1]), to_jsonb(folds[:last - 1]));
  new.name := names[last];
  new.folded_name := folds[last];
  RETURN new;
END
$$;
CREATE TRIGGER paths_placed BEFORE INSERT ON files FOR EACH ROW
  WHEN (strpos(new.name, '/') > 0) EXECUTE FUNCTION place_by_path();
`;
