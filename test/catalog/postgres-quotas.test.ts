/** Quotas in PostgreSQL, where several nodes add to what one owner has. */
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { NO_QUOTA, sumOf } from '../../server/catalog/quotas.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';
import { newUpload } from './fixtures.ts';

const NODES = 3;
const POOL = 4;
const MOST = 4;
const OWNERS = Array.from({ length: 40 }, (_, index) => `owner ${index}`);
const MIB = 1024 * 1024;

describe.skipIf(!hasPostgres())('quotas in PostgreSQL', () => {
  let database: TestDatabase;
  let catalogs: Catalog[];

  beforeEach(async () => {
    database = await createDatabase();
    const quotaOf = () => ({ ...NO_QUOTA, files: MOST, bytes: MOST * 2 * MIB });
    catalogs = [];
    for (let node = 0; node < NODES; node++)
      catalogs.push(await openPostgresCatalog({ url: database.url, quotaOf, poolSize: POOL }));
  });

  afterEach(async () => {
    for (const catalog of catalogs) await catalog.close();
    await database.drop();
  });

  it.each([
    ['small', 10],
    ['large', 2 * MIB],
  ])('are kept by nodes that begin %s uploads at the same moment, owner by owner', async (_what, size) => {
    for (const owner of OWNERS) {
      const all = Array.from({ length: 2 * MOST }, async (_, index) =>
        catalogs[index % NODES]?.createUpload(newUpload({ owner, size })),
      );
      const begun = await Promise.allSettled(all);
      expect(begun.filter(({ status }) => status === 'fulfilled')).toHaveLength(MOST);
      expect(sumOf((await catalogs[0]?.usageOf(owner)) ?? expect.fail())).toEqual({ files: MOST, bytes: MOST * size });
    }
  });

  it('leave a node connections for all else, where a node hangs that holds a lock', async () => {
    const [catalog = expect.fail()] = catalogs;
    await catalog.createUpload(newUpload({ owner: 'cleo', size: 1 }));
    const hanging = new Client({ connectionString: database.url });
    await hanging.connect();
    let waiting: Promise<unknown>[] = [];
    try {
      await hanging.query(`select pg_advisory_lock(hashtextextended('quota of ann', 0))`);
      const run = () => catalog.createUpload(newUpload({ owner: 'ann', size: 1 }));
      waiting = Array.from({ length: 3 * POOL }, run);
      const isWaiting = `select 1 from pg_locks where locktype = 'advisory' and not granted and database =
        (select oid from pg_database where datname = current_database())`;
      await expect.poll(async () => (await hanging.query(isWaiting)).rowCount).toBe(POOL / 2);
      expect((await catalog.usageOf('cleo')).uploads.open).toBe(1);
    } finally {
      await hanging.end();
    }
    const outcomes = await Promise.allSettled(waiting);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(MOST);
  });
});
