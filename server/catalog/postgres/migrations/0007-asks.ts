/**
 * Requests between nodes, for when notices do not arrive. A node that still waits repeats its request after a second. So a
 * crash of the database may empty the table, and no write to it waits for the disk.
 */
export const asks = `
CREATE UNLOGGED TABLE asks (
  node      text COLLATE "C" NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  upload_id text COLLATE "C" NOT NULL,
  what      text NOT NULL CHECK (what IN ('release', 'commit')),
  epoch     bigint NOT NULL,
  PRIMARY KEY (node, upload_id, what)
);
`;
