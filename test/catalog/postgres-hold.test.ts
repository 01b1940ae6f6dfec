/** A catalog in PostgreSQL is for one service at a time, which holds a lock on it. */
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CatalogError } from '../../server/catalog/catalog.ts';
import { inspectPostgresCatalog, readBelonging } from '../../server/catalog/postgres/inspect.ts';
import { SERVICE_LOCK } from '../../server/catalog/postgres/locks.ts';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';
import { addUpload, nextLease } from './fixtures.ts';

describe.skipIf(!hasPostgres())('the lock on a catalog in PostgreSQL', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createDatabase();
  });

  afterEach(() => database.drop());

  /** The server's processes behind the connections that hold it. */
  async function holders(): Promise<number[]> {
    const rows = await database.run<{ pid: number }>(`select pid from pg_locks where locktype = 'advisory' and granted
      and objid = ${SERVICE_LOCK[1]} and objsubid = 2
      and database = (select oid from pg_database where datname = current_database())`);
    return rows.map(({ pid }) => pid);
  }

  it('refuses a second service until the first has closed it', async () => {
    const { url } = database;
    const first = await openPostgresCatalog({ url });
    await expect(openPostgresCatalog({ url })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('is in use by another service'),
    });
    await first.ping();
    await first.close();
    await (await openPostgresCatalog({ url })).close();
    await expect.poll(holders).toEqual([]);
  });

  it('is shown to whoever looks, which changes nothing', async () => {
    const { url } = database;
    expect(await inspectPostgresCatalog({ url })).toMatchObject({ schema: 0, isInUse: false });
    expect(await readBelonging({ url })).toBeUndefined();
    expect(await database.run(`select 1 from pg_tables where schemaname = 'public'`)).toEqual([]);
    const catalog = await openPostgresCatalog({ url });
    await catalog.setMeta('place', 'a folder');
    expect(await inspectPostgresCatalog({ url })).toMatchObject({ schema: 1, isInUse: true });
    expect(await readBelonging({ url })).toEqual({ id: await catalog.id(), place: 'a folder' });
    await catalog.close();
    await expect.poll(() => inspectPostgresCatalog({ url })).toMatchObject({ schema: 1, isInUse: false });
  });

  it('ends the leases and claims of the process that had it before', async () => {
    const { url } = database;
    const first = await openPostgresCatalog({ url });
    await first.joinNode('a');
    const id = await addUpload(first, { holder: 'a', phase: 'receiving' });
    expect(await first.claim('work', 'a', 60_000)).toBe(true);
    expect(await nextLease(first, id, 'b')).toBeUndefined();
    await first.close();
    const second = await openPostgresCatalog({ url });
    expect(await second.listAbandoned(null, 10)).toMatchObject([{ id }]);
    expect(await nextLease(second, id, 'b')).toBe(2);
    expect(await second.claim('work', 'b', 60_000)).toBe(true);
    await second.close();
  });

  it('is taken again when its connection was lost', async () => {
    const failures: CatalogError[] = [];
    const catalog = await openPostgresCatalog({ url: database.url, onFailure: (error) => failures.push(error) });
    const [pid] = await holders();
    await database.run(`select pg_terminate_backend(${pid})`);
    await expect.poll(async () => (await holders()).filter((holder) => holder !== pid)).toHaveLength(1);
    expect(failures).toEqual([]);
    await catalog.ping();
    await catalog.close();
  });

  it('ends the service that finds it in other hands', async () => {
    let tell: (error: CatalogError) => void = () => undefined;
    const failed = new Promise<CatalogError>((resolve) => (tell = resolve));
    const catalog = await openPostgresCatalog({ url: database.url, onFailure: (error) => tell(error) });
    const other = new Client({ connectionString: database.url });
    await other.connect();
    await other.query(`select pg_terminate_backend(${(await holders())[0]})`);
    await other.query(`select pg_advisory_lock(${SERVICE_LOCK.join()})`);
    await other.query(`update meta set value = 'other' where key = 'holder'`);
    expect(await failed).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('taken by another service'),
    });
    await other.end();
    await catalog.close();
  });
});
