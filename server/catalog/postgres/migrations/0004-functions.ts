/**
 * What an upload of a small file needs, each in one message: its beginning, and its publication. Functions run in steps,
 * as a transaction of several messages does, and each step sees what was committed before it (docs/decisions/0041).
 *
 * Another version of a function gets another name, as nodes of the version before may still call this one.
 */
export const functions = `
-- No row where the owner has as many uploads as are allowed. max_open NULL: any number.
CREATE FUNCTION begin_upload(
  new_id text, new_owner text, new_size bigint, new_md5 text, new_sha1 text, new_sha256 text, new_filename text,
  new_filetype text, new_metadata text, new_holder text, new_phase text, at bigint, life_ms bigint, max_open bigint
) RETURNS TABLE ("createdAt" bigint, "expiresAt" bigint) LANGUAGE plpgsql AS $$
DECLARE
  lock_key bigint := hashtextextended('open uploads of ' || new_owner, 0);
  -- No more transactions than this can be under way beside it.
  others bigint := current_setting('max_connections')::bigint;
BEGIN
  IF max_open IS NOT NULL THEN
    IF open_uploads_reach(new_owner, max_open - 2 * others) THEN
      -- Near the bound they come one after the other, and each sees all before it.
      PERFORM pg_advisory_xact_lock(lock_key);
      IF open_uploads_reach(new_owner, max_open) THEN RETURN; END IF;
    ELSE
      -- Far from it they need not wait for each other's disk. None of them is under way while one counts alone.
      PERFORM pg_advisory_xact_lock_shared(lock_key);
      IF open_uploads_reach(new_owner, max_open - others) THEN
        RAISE EXCEPTION 'the bound on open uploads came near meanwhile' USING ERRCODE = 'serialization_failure';
      END IF;
    END IF;
  END IF;
  RETURN QUERY INSERT INTO uploads (id, owner, state, size, md5, sha1, sha256, filename, filetype, metadata, "offset",
      epoch, holder, phase, created_at, last_byte_at, expires_at)
    VALUES (new_id, new_owner, 'receiving', new_size, new_md5, new_sha1, new_sha256, new_filename, new_filetype,
      new_metadata, 0, 1, new_holder, new_phase, at, at, at + life_ms)
    RETURNING created_at, expires_at;
END
$$;

CREATE FUNCTION open_uploads_reach(of_owner text, number bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RETURN number <= 0 OR EXISTS (
    SELECT FROM uploads WHERE owner = of_owner AND state = 'receiving' OFFSET greatest(number, 1) - 1 LIMIT 1
  );
END
$$;

-- The content is the one by this id, or else a new one. outcome: 'published', 'lost' and 'conflict' as in the contract;
-- 'steps' where nothing was changed, as the key may be waiting for removal.
CREATE FUNCTION publish_upload(
  upload_id_ text, lease_epoch bigint, at bigint, join_id bigint, new_md5 text, new_sha1 text, new_sha256 text,
  new_size bigint, new_variant bigint, new_key text, file_id_ text, file_owner text, file_name text, folded text,
  file_type text, reuses boolean, forgets boolean
) RETURNS TABLE (outcome text, id text, owner text, name text, type text, "uploadedAt" bigint, "contentId" bigint,
  md5 text, sha1 text, sha256 text, size bigint, variant bigint, key text, "publishedAt" bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  upload_size bigint;
  content     contents;
  file        files;
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
    INSERT INTO contents (md5, sha1, sha256, size, variant, key, published_at)
      VALUES (new_md5, new_sha1, new_sha256, new_size, new_variant, new_key, at)
      ON CONFLICT DO NOTHING RETURNING * INTO content;
  END IF;
  IF NOT FOUND THEN
    outcome := 'conflict';
    RETURN NEXT;
    RETURN;
  END IF;
  IF join_id IS NULL AND EXISTS (SELECT FROM removals WHERE key = new_key) THEN
    DELETE FROM contents WHERE id = content.id;
    outcome := 'steps';
    RETURN NEXT;
    RETURN;
  END IF;
  IF upload_size <> content.size THEN
    RAISE EXCEPTION 'upload % of % bytes cannot become content of % bytes', upload_id_, upload_size, content.size;
  END IF;

  IF reuses THEN
    SELECT * INTO file FROM files
      WHERE content_id = content.id AND owner = file_owner AND name = file_name LIMIT 1;
  END IF;
  IF file.id IS NULL THEN
    INSERT INTO files (id, owner, name, folded_name, type, uploaded_at, content_id, size)
      VALUES (file_id_, file_owner, file_name, folded, file_type, at, content.id, content.size)
      RETURNING * INTO file;
    INSERT INTO events (owner, kind, at, file_id, name, type, uploaded_at, content_id, md5, size)
      VALUES (file.owner, 'published', publish_upload.at, file.id, file.name, file.type, file.uploaded_at, content.id,
        content.md5, content.size);
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
