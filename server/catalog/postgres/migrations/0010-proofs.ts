/**
 * What proves that other bytes equal a content's (docs/decisions/0057), and `publish_upload` of 0004 with it: nodes of the version
 * before still call that one.
 */
export const proofs = `
ALTER TABLE contents ADD COLUMN proof text COLLATE "C";
ALTER TABLE contents ADD COLUMN seal text COLLATE "C";

-- The content is the one by this id, or else a new one. outcome: 'published', 'lost' and 'conflict' as in the contract;
-- 'steps' where nothing was changed, as the key may be waiting for removal.
CREATE FUNCTION publish_proved_upload(
  upload_id_ text, lease_epoch bigint, at bigint, join_id bigint, new_md5 text, new_sha1 text, new_sha256 text,
  new_size bigint, new_variant bigint, new_key text, file_id_ text, file_owner text, file_name text, folded text,
  file_type text, reuses boolean, forgets boolean, new_proof text
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
    INSERT INTO contents (md5, sha1, sha256, size, variant, key, published_at, proof)
      VALUES (new_md5, new_sha1, new_sha256, new_size, new_variant, new_key, at, new_proof)
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
      VALUES (file.owner, 'published', publish_proved_upload.at, file.id, file.name, file.type, file.uploaded_at, content.id,
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
