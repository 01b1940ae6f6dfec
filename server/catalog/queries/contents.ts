/** Contents: published bytes, found by their digests. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { prepare } from './prepare.ts';

type ProofQueries = Pick<Catalog, 'proofOf' | 'noteProof'>;
type LackingQueries = Pick<Catalog, 'listWithoutSha1' | 'listOwnWithoutSha1'>;
export type ContentQueries = Pick<Catalog, 'findContents' | 'ownsContent' | 'addDigests' | 'filterKeys'> &
  ProofQueries &
  LackingQueries;

/** A ContentRecord's columns. */
export const CONTENT_RECORD = [
  'id',
  'md5',
  'sha1',
  'sha256',
  'size',
  'variant',
  'key',
  'published_at as publishedAt',
] as const;

/** Prepares the lookup of a content to which a file is added: it cannot be deleted until the transaction ends. */
export function prepareHoldContent(db: Kysely<Tables>, { locked }: QueryDialect) {
  return prepare((by: { id: number }) =>
    locked(db.selectFrom('contents').select(CONTENT_RECORD).where('id', '=', by.id)),
  );
}

/** Prepares the queries on contents. */
export function createContentQueries(db: Kysely<Tables>): ContentQueries {
  const byDigest = (column: 'md5' | 'sha1' | 'sha256') =>
    prepare((by: { digest: string }) =>
      db.selectFrom('contents').select(CONTENT_RECORD).where(column, '=', by.digest).orderBy('variant').orderBy('id'),
    );
  const byMd5 = byDigest('md5');
  const bySha1 = byDigest('sha1');
  const bySha256 = byDigest('sha256');

  const selectOwned = prepare((by: { owner: string; contentId: number }) =>
    db
      .selectFrom('files')
      .select('id')
      .where('content_id', '=', by.contentId)
      .where('owner', '=', by.owner)
      .limit(sql.lit(1)),
  );

  // A content never changes, so a known digest stays.
  const fillDigests = prepare((by: { contentId: number; sha1: string | null; sha256: string | null }) =>
    db
      .updateTable('contents')
      .set((eb) => ({
        sha1: eb.fn.coalesce('sha1', eb.val(by.sha1)),
        sha256: eb.fn.coalesce('sha256', eb.val(by.sha256)),
      }))
      .where('id', '=', by.contentId),
  );

  return {
    ...createProofQueries(db),
    ...createLackingQueries(db),

    findContents(by) {
      if ('md5' in by) return byMd5.rows(db, { digest: by.md5 });
      if ('sha1' in by) return bySha1.rows(db, { digest: by.sha1 });
      return bySha256.rows(db, { digest: by.sha256 });
    },

    async ownsContent(owner, contentId) {
      return (await selectOwned.first(db, { owner, contentId })) !== undefined;
    },

    async addDigests(contentId, { sha1 = null, sha256 = null }) {
      await fillDigests.changes(db, { contentId, sha1, sha256 });
    },

    async filterKeys(keys) {
      const rows = await db.selectFrom('contents').select('key').where('key', 'in', keys).execute();
      return new Set(rows.map((row) => row.key));
    },
  };
}

function createProofQueries(db: Kysely<Tables>): ProofQueries {
  const selectProof = prepare((by: { contentId: number }) =>
    db.selectFrom('contents').select(['proof', 'seal']).where('id', '=', by.contentId),
  );

  const fillProof = prepare((by: { contentId: number; proof: string | null; seal: string | null }) =>
    db
      .updateTable('contents')
      .set((eb) => ({
        proof: eb.fn.coalesce(eb.val(by.proof), 'proof'),
        seal: eb.fn.coalesce(eb.val(by.seal), 'seal'),
      }))
      .where('id', '=', by.contentId),
  );

  return {
    proofOf(contentId) {
      return selectProof.first(db, { contentId });
    },

    async noteProof(contentId, { proof = null, seal = null }) {
      await fillProof.changes(db, { contentId, proof, seal });
    },
  };
}

/** Queries of contents that lack a SHA-1. */
function createLackingQueries(db: Kysely<Tables>): LackingQueries {
  const selectWithoutSha1 = prepare((by: { after: number; limit: number }) =>
    db
      .selectFrom('contents')
      .select(CONTENT_RECORD)
      .where('sha1', 'is', null)
      .where('id', '>', by.after)
      .orderBy('id')
      .limit(by.limit),
  );

  // All ids are above 0: with the condition the plan is seen to go along the index.
  const selectNewest = prepare((by: { limit: number }) =>
    db
      .selectFrom('contents')
      .select(CONTENT_RECORD)
      .where('sha1', 'is', null)
      .where('id', '>', sql.lit(0))
      .orderBy('id', 'desc')
      .limit(by.limit),
  );

  return {
    listWithoutSha1(after, limit) {
      return selectWithoutSha1.rows(db, { after, limit });
    },

    async listOwnWithoutSha1(owner, among) {
      const newest = await selectNewest.rows(db, { limit: among });
      if (newest.length === 0) return [];
      const ids = newest.map(({ id }) => id);
      const files = db.selectFrom('files').select('content_id').where('content_id', 'in', ids);
      const owned = new Set((await files.where('owner', '=', owner).execute()).map((row) => row.content_id));
      return newest.filter(({ id }) => owned.has(id));
    },
  };
}
