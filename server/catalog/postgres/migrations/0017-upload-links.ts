/**
 * Links of kind `upload`: by these, people without an account send files into a folder. An upload by one names it, and who sent
 * it. Triggers count files and bytes in the link's row, so that no transaction can forget it; so they do for nodes of the version
 * before. See docs/decisions/0070-upload-links.md.
 *
 * Locks are taken in this order: uploads, links.
 */
export const uploadLinks = `
ALTER TABLE links
  ADD COLUMN folder text,
  ADD COLUMN most_bytes bigint,
  ADD COLUMN most_files bigint,
  ADD COLUMN most_file_bytes bigint,
  -- A JSON array; NULL: any.
  ADD COLUMN types text,
  ADD COLUMN sent_files bigint NOT NULL DEFAULT 0,
  ADD COLUMN sent_bytes bigint NOT NULL DEFAULT 0;

-- No reference: what was sent by a link outlives it.
ALTER TABLE uploads
  ADD COLUMN link_id text COLLATE "C",
  ADD COLUMN sender text,
  ADD COLUMN note text;
CREATE INDEX uploads_by_link ON uploads (link_id, created_at, id) WHERE link_id IS NOT NULL;
CREATE INDEX uploads_receiving_by_link ON uploads (link_id, id) WHERE link_id IS NOT NULL AND state = 'receiving';
CREATE INDEX uploads_sent_by_file ON uploads (file_id, created_at, id) WHERE link_id IS NOT NULL AND file_id IS NOT NULL;

CREATE FUNCTION count_in_link() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  more_files bigint := 0;
  more_bytes bigint := 0;
BEGIN
  IF TG_OP <> 'INSERT' THEN
    more_files := -1;
    more_bytes := -coalesce(old.size, old.expected_size, old."offset");
  END IF;
  IF TG_OP <> 'DELETE' AND new.state IN ('receiving', 'complete') THEN
    more_files := more_files + 1;
    more_bytes := more_bytes + coalesce(new.size, new.expected_size, new."offset");
  END IF;
  IF more_files <> 0 OR more_bytes <> 0 THEN
    UPDATE links SET sent_files = sent_files + more_files, sent_bytes = sent_bytes + more_bytes
      WHERE id = CASE WHEN TG_OP = 'DELETE' THEN old.link_id ELSE new.link_id END;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER link_taken AFTER INSERT ON uploads FOR EACH ROW
  WHEN (new.link_id IS NOT NULL AND new.state = 'receiving') EXECUTE FUNCTION count_in_link();
CREATE TRIGGER link_changed AFTER UPDATE OF state, size, expected_size, "offset" ON uploads FOR EACH ROW
  WHEN (old.link_id IS NOT NULL AND old.state = 'receiving') EXECUTE FUNCTION count_in_link();
CREATE TRIGGER link_given_back AFTER DELETE ON uploads FOR EACH ROW
  WHEN (old.link_id IS NOT NULL AND old.state = 'receiving') EXECUTE FUNCTION count_in_link();
`;
