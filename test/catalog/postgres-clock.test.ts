/** The clock of a catalog in PostgreSQL is the database's, also where this process does not ask it. */
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { createDatabase } from '../harness/shared-postgres.ts';
import { addUpload, T0 } from './fixtures.ts';

/** What an answer may take. */
const LONG_MS = 10_000;

test.skipIf(!hasPostgres())('a process goes by the database’s clock, and follows it when that is set', async () => {
  const database = await createDatabase();
  await database.run(`create schema test; create table test.clock as select ${T0}::bigint as now_ms`);
  const catalog = await openPostgresCatalog({ url: database.url, now: sql<number>`(select now_ms from test.clock)` });
  const { clock } = catalog;
  expect(clock.earliest()).toBeGreaterThanOrEqual(T0);
  expect(clock.latest()).toBeLessThan(T0 + LONG_MS);
  const before = clock.earliest();
  await expect.poll(() => clock.earliest()).toBeGreaterThan(before);
  await database.run(`update test.clock set now_ms = ${T0 + 3_600_000}`);
  await catalog.keepTime();
  expect(clock.earliest()).toBeGreaterThanOrEqual(T0 + 3_600_000);
  expect(clock.latest()).toBeLessThan(T0 + 3_600_000 + LONG_MS);
  await catalog.close();

  const real = await openPostgresCatalog({ url: database.url });
  const upload = await real.findUpload(await addUpload(real, { lifeMs: 60_000 }));
  expect(Math.abs(Date.now() - (upload?.createdAt ?? 0))).toBeLessThan(LONG_MS);
  expect(upload?.leftMs).toBeLessThanOrEqual(60_000);
  expect(Math.abs(Date.now() - real.clock.earliest())).toBeLessThan(LONG_MS);
  await real.close();
  await database.drop();
});
