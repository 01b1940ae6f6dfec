/** Folders of a catalog in PostgreSQL: the order in which transactions lock what they change, and nodes that know no folders. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Client } from 'pg';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';
import { expectCounted } from './contract-folders.ts';
import { addPublished, addUpload, giveFile, newContent, newFile } from './fixtures.ts';

describe.skipIf(!hasPostgres())('folders of a catalog in PostgreSQL', () => {
  let database: TestDatabase;
  let one: Catalog;
  let other: Catalog;
  /** Another transaction, which the test controls. */
  let held: Client;

  beforeEach(async () => {
    database = await createDatabase();
    const options = { url: database.url };
    [one, other] = [await openPostgresCatalog(options), await openPostgresCatalog(options)];
    held = new Client({ connectionString: database.url });
    await held.connect();
    await held.query('begin');
  });

  afterEach(async () => {
    await held.end();
    await Promise.all([one.close(), other.close()]);
    await database.drop();
  });

  const waiting = (): Promise<object[]> =>
    database.run(`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`);

  /** Lets `run` wait for what is held, and expects that it does not hold what the statement locks. @returns its result. */
  async function expectFree<T>(run: () => Promise<T>, statement: string): Promise<T> {
    const result = run();
    await expect.poll(waiting).toHaveLength(1);
    await held.query(`${statement} for update nowait`);
    await held.query('commit');
    return result;
  }

  it('are deleted twice at once: each file once, and nobody waits in a circle', async () => {
    for (let round = 0; round < 5; round++) {
      for (let index = 0; index < 130; index++)
        await addPublished(one, newContent(`${round} ${index}`), { name: `f/${index % 3}/${index}` });
      const deleted = await Promise.all(
        [one, other, one].map(async (catalog) => {
          let files = 0;
          for (let next: string | null | undefined = undefined; next !== null;) {
            const some: Awaited<ReturnType<Catalog['deleteBelow']>> = await catalog.deleteBelow('ann', 'f', next);
            files += some?.files ?? 0;
            next = some?.nextCursor ?? null;
          }
          return files;
        }),
      );
      expect(deleted.reduce((sum, files) => sum + files)).toBe(130);
      expect(await one.findFolder('ann', 'f')).toBeUndefined();
    }
    const [found] = await database.run<{ deadlocks: number }>(
      'select deadlocks::int from pg_stat_database where datname = current_database()',
    );
    expect(found?.deadlocks).toBe(0);
  });

  it('are locked before the share of their owner', async () => {
    const { id } = await addPublished(one, newContent('a'), { name: 'f/a' });
    // Whichever connection deletes it has a row to lock.
    await database.run(
      `insert into owner_shares select 'ann', n, 0, 0 from generate_series(0, 15) as n on conflict do nothing`,
    );
    // As an upload that comes into the folder.
    await held.query(`select take_folders('ann', '["f"]', '["f"]')`);
    const deleted = await expectFree(() => other.deleteFile(id, 'ann'), `select from owner_shares where owner = 'ann'`);
    expect(deleted?.file.name).toBe('f/a');
  });

  it('are deleted with their files locked in the order in which links lock them', async () => {
    const contents = [];
    for (const text of ['first', 'second']) contents.push((await addPublished(one, newContent(text))).content.id);
    await giveFile(one, contents[1] ?? 0, { id: 'file 1', name: 'f/1' });
    await giveFile(one, contents[0] ?? 0, { id: 'file 2', name: 'f/2' });
    await held.query(`select from files where id = 'file 1' for update`);
    const deleted = await expectFree(() => other.deleteBelow('ann', 'f'), `select from files where id = 'file 2'`);
    expect(deleted?.files).toBe(2);
  });

  it('get a file in the place of another one, with both contents locked in their order', async () => {
    const low = await addPublished(one, newContent('low'), { name: 'low' });
    const high = await addPublished(one, newContent('high'), { name: 'f/high' });
    await held.query(`select from contents where id = ${low.content.id} for update`);
    const file = newFile({ name: 'f/high', onConflict: 'replace' });
    const placed = await expectFree(
      () => other.addFile(low.content.id, file),
      `select from contents where id = ${high.content.id}`,
    );
    expect(placed?.removed?.key).toBe(high.content.key);
  });

  it('get the files that a node of the version before publishes by their paths', async () => {
    const { content } = await addPublished(one, newContent('a'), { name: 'a/first' });
    for (const [id, path] of [
      ['old 1', 'a/b.txt'],
      ['old 2', 'A／b/c'],
      ['old 3', 'plain'],
    ] as const) {
      const upload = await addUpload(one, { size: content.size, filename: path });
      const folded = path.normalize('NFKC').toLowerCase();
      const [found] = await database.run<{ outcome: string }>(
        `select outcome from publish_proved_upload('${upload}', 1, 5, ${content.id}, null, null, null, null, null, null,
          '${id}', 'ann', '${path}', '${folded}', null, true, false, null)`,
      );
      expect(found?.outcome).toBe('published');
      expect((await one.findFile(id, 'ann'))?.name).toBe(path);
    }
    expect(await one.findFolder('ann', 'a')).toEqual({ path: 'a', files: 2, bytes: 2 * content.size });
    // The same bytes by the same path, from a node of this version.
    expect((await giveFile(one, content.id, { name: 'a/b.txt' }))?.id).toBe('old 1');
    await expectCounted(one, 'ann');
  });
});
