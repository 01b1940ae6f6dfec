/**
 * What is known of the catalog itself, by key. Its id is random, so that it and the folder of its files
 * recognize each other (docs/decisions/0019).
 */
export const meta = `
CREATE TABLE meta (
  key   TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta (key, value) VALUES ('id', lower(hex(randomblob(16))));
`;
