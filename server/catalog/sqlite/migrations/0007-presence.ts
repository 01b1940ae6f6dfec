/**
 * Which node holds the lease on an upload, or held it last, and what it does. See docs/decisions/0030-presence-in-the-row.md.
 * Removals know the content's MD5, by which publication and removal of one name exclude each other.
 */
export const presence = `
ALTER TABLE uploads ADD COLUMN holder TEXT;
ALTER TABLE uploads ADD COLUMN phase TEXT CHECK (phase IN ('receiving', 'publishing', 'unrecovered'));

ALTER TABLE removals ADD COLUMN md5 TEXT;
`;
