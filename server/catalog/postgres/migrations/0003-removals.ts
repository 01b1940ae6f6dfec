/** Which node removes the bytes of a key, and until when no other node may. */
export const removals = `
ALTER TABLE removals
  ADD COLUMN node  text COLLATE "C",
  ADD COLUMN until double precision;
`;
