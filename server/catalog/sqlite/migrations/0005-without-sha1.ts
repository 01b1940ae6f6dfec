/** Contents whose SHA-1 is still to be computed, so that finding the next costs nothing where there are none. */
export const withoutSha1 = `
CREATE INDEX contents_without_sha1 ON contents (id) WHERE sha1 IS NULL;
`;
