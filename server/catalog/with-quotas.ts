/**
 * A catalog that keeps quotas. An owner without one costs nothing. For one with a quota, the changes that add something run in
 * transactions of their owner's, in one of two ways (docs/decisions/0071-quotas.md):
 *
 * - alone: others of this owner wait; what the owner has is read after the change, which is undone where that is too much;
 * - beside others: a small change far from the quota, which all changes that can be under way together do not reach.
 */
import { type Kysely, sql, type Transaction } from 'kysely';
import type { Catalog, UploadKind } from './catalog.ts';
import type { QuotaDialect } from './dialect.ts';
import type { SqlClock } from './queries/clock.ts';
import { prepare } from './queries/prepare.ts';
import { RECEIVING } from './queries/states.ts';
import { createScoped, type Scoped, type Within } from './queries/scoped.ts';
import { prepareUsage } from './queries/usage.ts';
import { limitPassed, MOST_UNKNOWN_FINALS, OverQuota, type Quota, sumOf, type Usage } from './quotas.ts';
import type { Tables } from './schema.ts';

/** The changes that keep quotas. */
type Kept = Pick<Catalog, 'createUpload' | 'publishAtOnce' | 'declareLength' | 'expectLength' | 'addFile'>;

/** A larger upload runs alone: it takes longer in any case. */
const SMALL_BYTES = 1024 * 1024;

export interface QuotaParts {
  db: Kysely<Tables>;
  clock: SqlClock;
  dialect: QuotaDialect;
  /** Undefined: nobody has a quota. */
  quotaOf: ((owner: string) => Quota) | undefined;
  /** The methods of the catalog over this database. */
  over: (db: Kysely<Tables>) => Kept;
}

/** Wraps the methods that add something to what an owner has. */
export function withQuotas<Wrapped extends Kept>(catalog: Wrapped, parts: QuotaParts): Wrapped {
  const { db, quotaOf } = parts;
  if (!quotaOf) return catalog;
  const scoped = createScoped(db);
  const kept = parts.over(scoped.db);
  const run = createRunner(parts, scoped);
  const selectUpload = prepare((by: { id: string }) =>
    db.selectFrom('uploads').select(['owner', 'kind', 'size', 'expected_size as expectedSize']).where('id', '=', by.id),
  );

  /** Runs a change of an upload's length: the method of this catalog, or of the one that keeps quotas. */
  async function ofUpload<Result>(id: string, bytes: number, change: (on: Kept) => Promise<Result>): Promise<Result> {
    const upload = await selectUpload.first(db, { id });
    const quota = upload && parts.quotaOf?.(upload.owner);
    if (!upload || !quota || quota.bytes === null) return change(catalog);
    // Of an upload whose length was not known, what has arrived was let in without a look at all others. A final was let in with
    // its partials.
    const isNew = upload.kind !== 'final' && upload.size === null && upload.expectedSize === null;
    return run(upload.owner, quota, { bytes, isNew }, () => change(kept));
  }

  const hasMostUnknownFinals = prepareHasMostUnknownFinals(scoped.db);

  const keeping: Kept = {
    createUpload(upload, given) {
      const { owner, kind, size } = upload;
      const quota = quotaOf(owner);
      const mostOpen = quota.openUploads ?? given;
      if (!isLimited(quota)) return catalog.createUpload(upload, mostOpen);
      // A partial of unknown length may have any number of bytes by now, and may be in a final many times.
      const bytes = kind === 'final' ? null : (size ?? 0);
      return run(owner, quota, { bytes }, async () => {
        if (kind === 'final' && size === null && (await hasMostUnknownFinals(owner))) return undefined;
        return kept.createUpload(upload, mostOpen);
      });
    },

    publishAtOnce(publication, given) {
      const { owner, size } = publication.upload;
      const quota = quotaOf(owner);
      const mostOpen = quota.openUploads ?? given;
      if (!isLimited(quota)) return catalog.publishAtOnce(publication, mostOpen);
      return run(owner, quota, { bytes: size }, () => kept.publishAtOnce(publication, mostOpen));
    },

    addFile(contentId, file) {
      const quota = quotaOf(file.owner);
      if (!isLimited(quota)) return catalog.addFile(contentId, file);
      return run(file.owner, quota, { bytes: null }, () => kept.addFile(contentId, file));
    },

    declareLength: (id, epoch, size) => ofUpload(id, size, (on) => on.declareLength(id, epoch, size)),
    expectLength: (id, epoch, size) => ofUpload(id, size ?? 0, (on) => on.expectLength(id, epoch, size)),
  };
  return { ...catalog, ...keeping };
}

/** Prepares the question whether an owner has as many finals of unknown size as they may. */
function prepareHasMostUnknownFinals(db: Kysely<Tables>): (owner: string) => Promise<boolean> {
  // Not as conditions of the query: PostgreSQL would rather read the unfinished finals of everybody.
  const isOne = sql`kind = ${sql.lit<UploadKind>('final')} and size is null`;
  const count = prepare((by: { owner: string }) =>
    db
      .selectFrom('uploads')
      .select(sql<number>`cast(coalesce(sum(case when ${isOne} then 1 else 0 end), 0) as bigint)`.as('finals'))
      .where('owner', '=', by.owner)
      .where('state', '=', RECEIVING),
  );
  return async (owner) => ((await count.first(db, { owner }))?.finals ?? 0) >= MOST_UNKNOWN_FINALS;
}

function isLimited({ bytes, files }: Quota): boolean {
  return bytes !== null || files !== null;
}

/** What a change adds. */
interface Added {
  /** At most; null: any number. */
  bytes: number | null;
  /** See `limitPassed`. */
  isNew?: boolean;
}

/** The owner is near their quota: the change has to be made alone. */
class TooNear extends Error {}

/** The change has undone itself, and has this result. */
class Undone extends Error {
  readonly result: unknown;

  constructor(result: unknown) {
    super('undone');
    this.result = result;
  }
}

/** Whether all changes that can be under way together do not reach the quota. */
function isFar(quota: Quota, usage: Usage, most: number): boolean {
  const sum = sumOf(usage);
  const reached = { files: sum.files + most, bytes: sum.bytes + most * SMALL_BYTES };
  return limitPassed(quota, sum, reached) === null;
}

function createRunner({ db, clock, dialect }: QuotaParts, scoped: Scoped) {
  const readUsage = prepareUsage(db, clock);
  const inTurn = createTurns(1);
  const inTurnOfAll = createTurns(dialect.mostHolding);
  /** Owners who were near their quota when it was read last. Only a hint. */
  const near = new Set<string>();

  /** Runs the steps in one transaction, which holds the lock of the owner's quota. */
  async function holding<Result>(
    owner: string,
    way: 'alone' | 'shared',
    steps: (trx: Transaction<Tables>) => Promise<Within<Result>>,
  ): Promise<Result> {
    const hold = () =>
      db.transaction().execute(async (trx) => {
        await dialect.hold(trx, `quota of ${owner}`, way);
        const { result, isUndone } = await steps(trx);
        if (isUndone) throw new Undone(result);
        return result;
      });
    try {
      return await inTurnOfAll('', hold);
    } catch (error) {
      if (error instanceof Undone) return error.result as Result;
      throw error;
    }
  }

  async function beside<Result>(owner: string, quota: Quota, change: () => Promise<Result>): Promise<Result> {
    // Asked for before: a transaction that waits for a second connection might wait for ever.
    const most = await dialect.mostAtOnce();
    return holding(owner, 'shared', async (trx) => {
      if (!isFar(quota, await readUsage(trx, owner), most)) throw new TooNear();
      return scoped.within(trx, change);
    });
  }

  async function alone<Result>(
    owner: string,
    quota: Quota,
    { isNew = false }: Added,
    change: () => Promise<Result>,
  ): Promise<Result> {
    const most = await dialect.mostAtOnce();
    return holding(owner, 'alone', async (trx) => {
      const before = await readUsage(trx, owner);
      if (isFar(quota, before, most)) near.delete(owner);
      const done = await scoped.within(trx, change);
      // False: a writer that has lost its lease has changed nothing.
      if (done.isUndone || done.result === false) return done;
      await dialect.settle(trx);
      const limit = limitPassed(quota, sumOf(before), sumOf(await readUsage(trx, owner)), isNew);
      if (limit !== null) throw new OverQuota(limit, quota, before);
      return done;
    });
  }

  return async function run<Result>(
    owner: string,
    quota: Quota,
    added: Added,
    change: () => Promise<Result>,
  ): Promise<Result> {
    const isSmall = added.bytes !== null && added.bytes <= SMALL_BYTES;
    if (dialect.isConcurrent && isSmall && !near.has(owner)) {
      try {
        return await beside(owner, quota, change);
      } catch (error) {
        if (!(error instanceof TooNear)) throw error;
        near.add(owner);
      }
    }
    // Others of this process wait here, without a connection to the database.
    return inTurn(owner, () => alone(owner, quota, added, change));
  };
}

/** Runs at most so many actions of one name at the same time; others wait in line. */
function createTurns(most: number) {
  const lines = new Map<string, { running: number; waiting: (() => void)[] }>();
  return async function inTurn<Result>(name: string, run: () => Promise<Result>): Promise<Result> {
    const line = lines.get(name) ?? { running: 0, waiting: [] };
    lines.set(name, line);
    if (line.running < most) line.running += 1;
    else await new Promise<void>((resolve) => line.waiting.push(resolve));
    try {
      return await run();
    } finally {
      const next = line.waiting.shift();
      // The next one takes this one's place.
      if (next) next();
      else line.running -= 1;
      if (line.running === 0) lines.delete(name);
    }
  };
}
