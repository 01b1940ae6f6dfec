/**
 * Indexes for what one owner can make many of: files of one content, open uploads. Those of open
 * uploads hold all that a search for one looks at, so that it reads the rows of those it finds alone.
 */
export const guards = `
CREATE INDEX files_by_content_owner_name ON files (content_id, owner, name);

DROP INDEX uploads_receiving_by_md5;
CREATE INDEX uploads_receiving_by_md5 ON uploads (md5, last_byte_at, id, size, sha256, "offset", expires_at)
  WHERE state = 'receiving';
CREATE INDEX uploads_receiving_by_owner ON uploads (owner, md5, last_byte_at, id, size, sha256, "offset", expires_at)
  WHERE state = 'receiving';
`;
