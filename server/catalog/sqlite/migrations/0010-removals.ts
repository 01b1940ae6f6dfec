/** Which node removes the bytes of a key, and until when it has that for itself. */
export const removals = `
ALTER TABLE removals ADD COLUMN node TEXT;
ALTER TABLE removals ADD COLUMN until REAL;
`;
