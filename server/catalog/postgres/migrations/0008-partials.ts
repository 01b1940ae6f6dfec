/**
 * Partials, which are never published, and finals, which join them. See docs/decisions/0048-joining-partials.md. Nodes of the
 * version before take a partial for an ordinary upload: the check keeps them from publishing it.
 */
export const partials = `
ALTER TABLE uploads ADD COLUMN kind text NOT NULL DEFAULT 'file' CHECK (kind IN ('file', 'partial', 'final'));
ALTER TABLE uploads ADD CONSTRAINT uploads_partial_unpublished CHECK (kind <> 'partial' OR state <> 'complete');
CREATE INDEX uploads_finals ON uploads (created_at, id) WHERE state = 'receiving' AND kind = 'final';

CREATE TABLE final_partials (
  final_id   text COLLATE "C" NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
  position   bigint NOT NULL,
  partial_id text COLLATE "C" NOT NULL REFERENCES uploads (id),
  PRIMARY KEY (final_id, position)
);
CREATE INDEX final_partials_by_partial ON final_partials (partial_id, final_id);
CREATE INDEX final_partials_first ON final_partials (final_id) WHERE position = 1;

-- As begin_upload, for another kind. partial_ids: those of a final, in order, with spaces between; NULL for a partial.
CREATE FUNCTION begin_upload_of_kind(
  new_id text, new_owner text, new_size bigint, new_md5 text, new_sha1 text, new_sha256 text, new_filename text,
  new_filetype text, new_metadata text, new_holder text, new_phase text, at bigint, life_ms bigint, max_open bigint,
  new_kind text, partial_ids text
) RETURNS TABLE ("createdAt" bigint, "expiresAt" bigint) LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY SELECT * FROM begin_upload(new_id, new_owner, new_size, new_md5, new_sha1, new_sha256, new_filename,
    new_filetype, new_metadata, new_holder, new_phase, at, life_ms, max_open);
  IF NOT FOUND THEN RETURN; END IF;
  UPDATE uploads SET kind = new_kind WHERE id = new_id;
  INSERT INTO final_partials (final_id, position, partial_id)
    SELECT new_id, listed.position, listed.id
    FROM unnest(string_to_array(partial_ids, ' ')) WITH ORDINALITY AS listed (id, position);
END
$$;
`;
