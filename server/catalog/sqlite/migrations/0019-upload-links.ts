/**
 * Links of kind `upload`: by these, people without an account send files into a folder. An upload by one names it, and who sent
 * it. Triggers count files and bytes in the link's row, so that no transaction can forget it. See
 * docs/decisions/0070-upload-links.md.
 */

/** The bytes that an upload takes up of its link: what has arrived, as long as its length is not known. */
function taken(row: 'new' | 'old'): string {
  return `coalesce(${row}.size, ${row}.expected_size, ${row}."offset")`;
}

/** Whether the upload has ended without a file. */
const IS_GIVEN_BACK = `new.state NOT IN ('receiving', 'complete')`;

export const uploadLinks = `
ALTER TABLE links ADD COLUMN folder TEXT;
ALTER TABLE links ADD COLUMN most_bytes INTEGER;
ALTER TABLE links ADD COLUMN most_files INTEGER;
ALTER TABLE links ADD COLUMN most_file_bytes INTEGER;
-- A JSON array; NULL: any.
ALTER TABLE links ADD COLUMN types TEXT;
ALTER TABLE links ADD COLUMN sent_files INTEGER NOT NULL DEFAULT 0;
ALTER TABLE links ADD COLUMN sent_bytes INTEGER NOT NULL DEFAULT 0;

-- No reference: what was sent by a link outlives it.
ALTER TABLE uploads ADD COLUMN link_id TEXT;
ALTER TABLE uploads ADD COLUMN sender TEXT;
ALTER TABLE uploads ADD COLUMN note TEXT;
CREATE INDEX uploads_by_link ON uploads (link_id, created_at, id) WHERE link_id IS NOT NULL;
CREATE INDEX uploads_receiving_by_link ON uploads (link_id, id) WHERE link_id IS NOT NULL AND state = 'receiving';
CREATE INDEX uploads_sent_by_file ON uploads (file_id, created_at, id) WHERE link_id IS NOT NULL AND file_id IS NOT NULL;

CREATE TRIGGER link_taken AFTER INSERT ON uploads WHEN new.link_id IS NOT NULL AND new.state = 'receiving' BEGIN
  UPDATE links SET sent_files = sent_files + 1, sent_bytes = sent_bytes + ${taken('new')} WHERE id = new.link_id;
END;
CREATE TRIGGER link_changed AFTER UPDATE OF state, size, expected_size, "offset" ON uploads
  WHEN old.link_id IS NOT NULL AND old.state = 'receiving' BEGIN
  UPDATE links SET
    sent_files = sent_files - (${IS_GIVEN_BACK}),
    sent_bytes = sent_bytes - ${taken('old')} + CASE WHEN ${IS_GIVEN_BACK} THEN 0 ELSE ${taken('new')} END
  WHERE id = old.link_id;
END;
CREATE TRIGGER link_given_back AFTER DELETE ON uploads WHEN old.link_id IS NOT NULL AND old.state = 'receiving' BEGIN
  UPDATE links SET sent_files = sent_files - 1, sent_bytes = sent_bytes - ${taken('old')} WHERE id = old.link_id;
END;
`;
