/** The trash of a catalog in PostgreSQL that several nodes have: what they do at once, and what a node of the version before does. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';
import { expectCounted } from './contract-folders.ts';
import { addPublished, giveFile, md5Of, newContent, newFile, addUpload, removalKeys } from './fixtures.ts';

describe.skipIf(!hasPostgres())('the trash of several nodes', () => {
  let database: TestDatabase;
  let one: Catalog;
  let other: Catalog;

  beforeEach(async () => {
    database = await createDatabase();
    const options = { url: database.url };
    [one, other] = [await openPostgresCatalog(options), await openPostgresCatalog(options)];
    for (const catalog of [one, other]) await Promise.all(Array.from({ length: 4 }, () => catalog.ping()));
  });

  afterEach(async () => {
    await Promise.all([one.close(), other.close()]);
    await database.drop();
  });

  it('restore a file or delete it for good: one of both, and the content accordingly', async () => {
    const outcomes = new Set<string>();
    for (let round = 0; round < 60; round++) {
      const text = `c${round}`;
      const { id, content } = await addPublished(one, newContent(text), { name: `${round % 2 ? 'f/' : ''}${round}` });
      await one.deleteFile(id, 'ann', 'trash');
      const [restored, gone, given] = await Promise.all([
        one.restoreTrashed('ann', { ids: [id] }),
        other.deleteTrashed('ann', { ids: [id] }),
        // Somebody else sends the same bytes at the same moment.
        round % 3 === 0 ? giveFile(other, content.id, { owner: 'bob', name: `${round}` }) : undefined,
      ]);
      expect(restored.length + gone.files, text).toBe(1);
      const isKept = restored.length === 1 || given !== undefined;
      outcomes.add(`${restored.length} ${isKept}`);
      expect(await one.findContents({ md5: md5Of(text) }), text).toHaveLength(isKept ? 1 : 0);
      expect((await removalKeys(one, 1000)).includes(content.key), text).toBe(!isKept);
    }
    expect(outcomes.size).toBeGreaterThan(1);
    expect(await one.trashTotalOf('ann')).toEqual({ files: 0, bytes: 0 });
  });

  it('empty one deletion: none takes it for done while something is left of it', async () => {
    const { content } = await addPublished(one, newContent('x'), { name: 'x' });
    for (let round = 0; round < 5; round++) {
      // One step takes 64 of them.
      for (let index = 0; index < 66; index++) await giveFile(one, content.id, { name: `f/${index}` });
      let deletion = '';
      for (let cursor: string | null | undefined; cursor !== null;) {
        const some = await one.deleteBelow('ann', 'f', cursor, 'trash');
        deletion = some?.deletion ?? '';
        cursor = some?.nextCursor ?? null;
      }
      const gone = await Promise.all([one, other].map((catalog) => catalog.deleteTrashed('ann', { deletion })));
      expect(gone.map(({ files }) => files).toSorted((a, b) => a - b)).toEqual([2, 64]);
    }
    expect(await one.trashTotalOf('ann')).toEqual({ files: 0, bytes: 0 });
  });

  it('delete, restore, purge, publish and move at once: no file is lost or twice, and all are counted', async () => {
    for (let round = 0; round < 40; round++) {
      const names = ['a/x', 'b/y', 'b/c/z', 'top', 'a/w'];
      const files = [];
      for (const name of names) files.push(await addPublished(one, newContent(`${name} ${round}`), { name }));
      const ids = files.map(({ id }) => id);
      for (const id of ids.slice(0, 3)) await one.deleteFile(id, 'ann', 'trash');
      const uploadId = await addUpload(other);
      await Promise.all([
        one.restoreTrashed('ann', { ids: [ids[0] ?? '', ids[1] ?? ''] }),
        other.restoreTrashed('ann', { ids: [ids[2] ?? '', ids[1] ?? '', ids[0] ?? ''] }),
        other.publish({
          uploadId,
          epoch: 1,
          content: newContent(`new ${round}`),
          file: newFile({ name: 'top', onConflict: 'replace', fateOfReplaced: 'trash' }),
        }),
        one.deleteBelow('ann', 'a', undefined, 'trash'),
        other.moveFolder('ann', 'b', `moved ${round}`),
        one.purgeTrash(3_600_000),
      ]);
      await expectCounted(one, 'ann');
      const { files: listed } = await one.listFiles({ owner: 'ann', limit: 1000, sort: 'name', descending: false });
      const { files: trashed } = await one.listTrash({ owner: 'ann', limit: 1000 });
      const there = [...listed, ...trashed].map(({ id }) => id);
      for (const id of ids)
        expect(
          there.filter((each) => each === id),
          `round ${round}`,
        ).toHaveLength(1);
      expect(await one.trashTotalOf('ann')).toMatchObject({ files: trashed.length });
      expect(await one.totalOf('ann')).toMatchObject({ files: listed.length });
      for (const { id } of listed) await one.deleteFile(id, 'ann');
      while ((await one.purgeTrash(0)).files > 0);
    }
    const [found] = await database.run(
      'select deadlocks::int from pg_stat_database where datname = current_database()',
    );
    expect((found as { deadlocks: number }).deadlocks).toBe(0);
  });

  it('keep a content that the trash needs from a node of the version before, which does not know it', async () => {
    const { id, content } = await addPublished(one, newContent('x'), { name: 'x' });
    const bobs = await giveFile(one, content.id, { owner: 'bob', name: 'x' });
    await one.deleteFile(id, 'ann', 'trash');
    // As that version does.
    await database.run(`delete from files where id = '${bobs?.id}'`);
    const deleted = await database.run(
      `delete from contents where id = ${content.id} and not exists (select from files where content_id = contents.id)
        returning key, md5`,
    );
    expect(deleted).toEqual([]);
    expect(await one.restoreTrashed('ann', { ids: [id] })).toMatchObject([{ id, content: { id: content.id } }]);
  });
});
