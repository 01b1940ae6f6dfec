/**
 * Names are searched by pieces of any length up to three characters, and by a folded form in which letter case and accents of
 * all scripts are one. Why: docs/decisions/0056-searches-and-the-main-thread.md.
 */
import { type Kysely, sql } from 'kysely';
import { foldName } from '../../../wire/fold-name.ts';
import type { Tables } from '../../schema.ts';

const BATCH = 5_000;

// A piece begins at each character of a name; the last two are filled up with U+0001, which no name has. So each part of a name
// is a piece, or the beginning of one. Before a piece stands a character for one of 64 groups of owners: few names of others are
// looked at, and the pieces of many owners' names share their lists.
const PIECES = `
DROP INDEX files_by_name_grams;
DROP FUNCTION name_grams;
CREATE FUNCTION name_pieces(owner text, folded text) RETURNS tsvector
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT array_to_tsvector(array_agg(chr(48 + (get_byte(decode(md5(owner), 'hex'), 0) & 63))
    || substr(folded || E'\\x01\\x01', i, 3)))
  FROM generate_series(1, length(folded)) AS i
$$;
-- What is not yet sorted in is read by each search: little of it.
CREATE INDEX files_by_name_pieces ON files USING gin (name_pieces(owner, folded_name))
  WITH (gin_pending_list_limit = 256);
`;

/** Folds the names anew, and replaces the index of their pieces. */
export async function namePieces(trx: Kysely<Tables>): Promise<void> {
  await foldAnew(trx);
  await sql.raw(PIECES).execute(trx);
}

/** A name in ASCII has the folded form that it had. */
async function foldAnew(trx: Kysely<Tables>): Promise<void> {
  for (let after = ''; ;) {
    const { rows } = await sql<{ id: string; name: string; folded: string }>`
      select id, name, folded_name as folded from files
      where id > ${after} and octet_length(name) <> char_length(name) order by id limit ${sql.lit(BATCH)}`.execute(trx);
    const changed = rows.flatMap(({ id, name, folded }) => {
      const anew = foldName(name);
      return anew === folded ? [] : [{ id, anew }];
    });
    if (changed.length > 0) {
      await sql`update files set folded_name = given.anew
        from jsonb_to_recordset(cast(${JSON.stringify(changed)} as jsonb)) as given (id text, anew text)
        where files.id = given.id`.execute(trx);
    }
    const last = rows.at(-1);
    if (!last || rows.length < BATCH) return;
    after = last.id;
  }
}
