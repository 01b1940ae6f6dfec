/** What proves that other bytes equal a content's. See docs/decisions/0057-equal-bytes-are-not-read.md. */
export const proofs = `
ALTER TABLE contents ADD COLUMN proof TEXT;
ALTER TABLE contents ADD COLUMN seal TEXT;
`;
