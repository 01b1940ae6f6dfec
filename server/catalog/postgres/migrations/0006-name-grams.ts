/**
 * An index to search for parts of names by their pieces of three characters, and of two where one is not ASCII, as in
 * Chinese. Each piece is indexed as a hash. Why not pg_trgm: docs/decisions/0046.
 */
export const nameGrams = `
-- Of 64 groups of owners: few names of others are looked at, and the pieces of many owners' names share their lists.
CREATE FUNCTION name_grams(owner text, folded text) RETURNS bigint[]
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT array_agg(hashtextextended(gram, hashtext(owner) & 63)) FROM (
    SELECT substr(folded, i, 3) AS gram FROM generate_series(1, length(folded) - 2) AS i
    UNION ALL
    SELECT substr(folded, i, 2) FROM generate_series(1, length(folded) - 1) AS i
      WHERE octet_length(folded) > length(folded) AND octet_length(substr(folded, i, 2)) > 2
  ) AS grams
$$;
-- What is not yet sorted in is read by each search: little of it.
CREATE INDEX files_by_name_grams ON files USING gin (name_grams(owner, folded_name))
  WITH (gin_pending_list_limit = 256);
`;
