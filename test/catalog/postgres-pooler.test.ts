/** A catalog in PostgreSQL behind PgBouncer in transaction mode, which gives each transaction another session. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { postgresSection } from '../../server/catalog/postgres/doctor.ts';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { hasPgbouncer, type RunningPgbouncer, startPgbouncer } from '../harness/pgbouncer.ts';
import { createDatabase, sharedPort, type TestDatabase } from '../harness/shared-postgres.ts';
import { callEverything } from './call-everything.ts';
import { addUpload, newContent, newFile, newUpload } from './fixtures.ts';

const ROUNDS = 20;

describe.skipIf(!hasPgbouncer())('a catalog behind a pooler in transaction mode', () => {
  let bouncer: RunningPgbouncer;
  let database: TestDatabase;
  let url: string;

  beforeAll(async () => {
    bouncer = await startPgbouncer(await sharedPort());
  });

  afterAll(() => bouncer.stop());

  beforeEach(async () => {
    database = await createDatabase();
    url = bouncer.urlOf(database.name);
  });

  afterEach(() => database.drop());

  const open = (directUrl?: string): Promise<Catalog> => openPostgresCatalog({ url, directUrl });

  it('is made once by services that start at once, and leaves nothing in the sessions of the pooler', async () => {
    const catalogs = await Promise.all(Array.from({ length: 4 }, () => open()));
    expect(new Set(await Promise.all(catalogs.map((catalog) => catalog.id()))).size).toBe(1);
    const [catalog] = catalogs;
    if (catalog) await callEverything(catalog);
    await Promise.all(catalogs.map((each) => each.close()));
    expect(
      await database.run(`select from pg_locks where locktype = 'advisory'
      and database = (select oid from pg_database where datname = current_database())`),
    ).toEqual([]);
  });

  it('bounds how long a transaction stands still, and nothing beyond that', async () => {
    const catalog = await open();
    // Evaluated by the session that the publication has.
    await database.run(`create table seen (setting text);
      create function see() returns trigger language plpgsql as $$
      begin insert into seen values (current_setting('idle_in_transaction_session_timeout')); return null; end $$;
      create trigger seen after insert on files for each row execute function see();
      create trigger seen_alone after insert on uploads for each row execute function see()`);
    const uploadId = await addUpload(catalog);
    await catalog.publish({ uploadId, epoch: 1, content: newContent('c'), file: newFile() });
    await catalog.addFile(1, newFile({ name: 'another' }));
    await addUpload(catalog);
    await catalog.close();
    const seen = await database.run<{ setting: string }>('select setting from seen');
    expect(seen.map(({ setting }) => setting).at(-1)).toBe('0');
    expect(seen.map(({ setting }) => setting)).toContain('10s');
  });

  it('has one truth, whoever comes first', async () => {
    const [one, other] = [await open(), await open()];
    for (let round = 0; round < ROUNDS; round++) {
      const owner = `owner ${round}`;
      const begun = await Promise.all(
        Array.from({ length: 8 }, (_, index) => (index % 2 ? one : other).createUpload(newUpload({ owner }), 3)),
      );
      expect(begun.filter((times) => times)).toHaveLength(3);
      const uploadId = await addUpload(one);
      const outcomes = await Promise.all(
        [one, other].map((catalog, index) =>
          catalog.publish({ uploadId, epoch: 1, content: newContent(`${index} ${round}`), file: newFile() }),
        ),
      );
      expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['lost', 'published']);
      const fileId = (await one.findUpload(uploadId))?.fileId ?? '';
      const deletions = await Promise.all([one, other].map((catalog) => catalog.deleteFile(fileId, 'ann')));
      expect(deletions.filter((deletion) => deletion)).toHaveLength(1);
    }
    await Promise.all([one.close(), other.close()]);
  });

  it('hears no notifications, which the doctor says; past the pooler it does', async () => {
    const listen = (directUrl: string | undefined) =>
      postgresSection({ url, directUrl })
        .steps.find(({ name }) => name === 'notifications')
        ?.run();
    expect(await listen(undefined)).toMatchObject({
      found: expect.stringContaining('does not arrive'),
      note: true,
      change: expect.stringContaining('DATABASE_DIRECT_URL'),
    });
    expect(await listen(database.url)).toEqual({ found: 'what is sent arrives' });
  });

  it('is refused with another database past the pooler', async () => {
    const elsewhere = await createDatabase();
    await expect(open(elsewhere.url)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('DATABASE_DIRECT_URL leads to another database'),
    });
    await elsewhere.drop();
    await (await open(database.url)).close();
  });
});
