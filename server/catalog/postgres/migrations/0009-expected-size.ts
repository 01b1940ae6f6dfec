/**
 * The length that is announced for an upload which its last byte does not complete. Nodes of the version before take such an
 * upload for one of unknown length.
 */
export const expectedSize = `
ALTER TABLE uploads ADD COLUMN expected_size bigint;
`;
