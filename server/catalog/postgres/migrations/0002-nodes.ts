/** Several nodes on one catalog: what each writes about itself. */
export const nodes = `
-- Only one service had the catalog open before.
DELETE FROM nodes;
DELETE FROM claims;
DELETE FROM meta WHERE key = 'holder';
ALTER TABLE nodes
  ADD COLUMN name       text NOT NULL,
  ADD COLUMN version    text NOT NULL,
  ADD COLUMN process    text,
  ADD COLUMN is_alone   bigint NOT NULL,
  ADD COLUMN started_at double precision NOT NULL;
`;
