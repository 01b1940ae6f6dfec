/** The length that is announced for an upload which its last byte does not complete. */
export const expectedSize = `
ALTER TABLE uploads ADD COLUMN expected_size INTEGER;
`;
