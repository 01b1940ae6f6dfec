/** Partials, which are never published, and finals, which join them. See docs/decisions/0048-joining-partials.md. */
export const partials = `
ALTER TABLE uploads ADD COLUMN kind TEXT NOT NULL DEFAULT 'file'
  CHECK (kind IN ('file', 'partial', 'final') AND (kind <> 'partial' OR state <> 'complete'));
CREATE INDEX uploads_finals ON uploads (created_at, id) WHERE state = 'receiving' AND kind = 'final';

CREATE TABLE final_partials (
  final_id   TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
  position   INTEGER NOT NULL,
  partial_id TEXT NOT NULL REFERENCES uploads (id),
  PRIMARY KEY (final_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX final_partials_by_partial ON final_partials (partial_id, final_id);
CREATE INDEX final_partials_first ON final_partials (final_id) WHERE position = 1;
`;
