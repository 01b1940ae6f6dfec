/**
 * What happens at once to the same files and folders, dozens of times, on both dialects: one of both comes first, whichever it is,
 * and the catalog has one truth. On PostgreSQL two nodes do it, on SQLite two requests of the only one.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Catalog, FileRecord } from '../../server/catalog/catalog.ts';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { openNewCatalog } from '../harness/new-catalog.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { createDatabase } from '../harness/shared-postgres.ts';
import { expectCounted } from './contract-folders.ts';
import { addPublished, addUpload, fileEvents, md5Of, newContent, newFile, removalKeys } from './fixtures.ts';

/** `RACE_ROUNDS=1000 npx vitest run dist/test/catalog/races.test.js` plays more. */
const ROUNDS = Number(process.env['RACE_ROUNDS'] ?? 64);

interface Pair {
  one: Catalog;
  other: Catalog;
  close(): Promise<void>;
}

async function openOnSqlite(): Promise<Pair> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-catalog-'));
  const catalog = await openNewCatalog({ file: join(folder, 'catalog.sqlite') });
  const close = async (): Promise<void> => {
    await catalog.close();
    await rm(folder, { recursive: true });
  };
  return { one: catalog, other: catalog, close };
}

async function openOnPostgres(): Promise<Pair> {
  const database = await createDatabase();
  const [one, other] = [
    await openPostgresCatalog({ url: database.url }),
    await openPostgresCatalog({ url: database.url }),
  ];
  // No race is decided by who connects first.
  for (const catalog of [one, other]) await Promise.all(Array.from({ length: 4 }, () => catalog.ping()));
  const close = async (): Promise<void> => {
    const [found] = await database.run<{ deadlocks: number }>(
      'select deadlocks::int from pg_stat_database where datname = current_database()',
    );
    await Promise.all([one.close(), other.close()]);
    await database.drop();
    expect(found?.deadlocks).toBe(0);
  };
  return { one, other, close };
}

describe.each([
  { name: 'SQLite', isHere: true, open: openOnSqlite },
  { name: 'PostgreSQL', isHere: hasPostgres(), open: openOnPostgres },
])('at once on $name', ({ isHere, open }) => {
  describe.skipIf(!isHere)('here', () => {
    let one: Catalog;
    let other: Catalog;
    let close: () => Promise<void>;
    beforeEach(async () => {
      ({ one, other, close } = await open());
    });
    afterEach(() => close());

    async function listed(owner = 'ann'): Promise<FileRecord[]> {
      return (await one.listFiles({ owner, limit: 1000, sort: 'name', descending: false })).files;
    }

    async function deleteAll(catalog: Catalog, path: string): Promise<number> {
      let files = 0;
      for (let next: string | null | undefined = undefined; next !== null;) {
        const some: Awaited<ReturnType<Catalog['deleteBelow']>> = await catalog.deleteBelow('ann', path, next);
        files += some?.files ?? 0;
        next = some?.nextCursor ?? null;
      }
      return files;
    }

    /** A content is there exactly as long as a file needs it; otherwise its key waits to be removed. */
    async function expectContent(text: string, key: string, isNeeded: boolean): Promise<void> {
      expect(await one.findContents({ md5: md5Of(text) }), text).toHaveLength(isNeeded ? 1 : 0);
      expect((await removalKeys(one, 1000)).includes(key), text).toBe(!isNeeded);
      if (!isNeeded) await one.removalDone(key);
    }

    it('two restore one file: it is there once, as it was, and one event tells of it', async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const name = round % 2 ? `f/${round}.txt` : `${round}.txt`;
        const after = await one.latestEvent('ann');
        const { id } = await addPublished(one, newContent(`c${round}`), { name });
        await one.deleteFile(id, 'ann', 'trash');
        const restored = await Promise.all([one, other].map((catalog) => catalog.restoreTrashed('ann', { ids: [id] })));
        expect(restored.flat().map((file) => [file.id, file.name])).toEqual([[id, name]]);
        expect((await listed()).map((file) => file.name)).toEqual([name]);
        expect(await one.trashTotalOf('ann')).toEqual({ files: 0, bytes: 0 });
        const events = fileEvents((await one.listEvents({ owner: 'ann', after, limit: 10 })) ?? []);
        const kinds = events.filter(({ file }) => file.id === id).map(({ kind }) => kind);
        expect(kinds).toEqual(['published', 'deleted', 'published']);
        await one.deleteFile(id, 'ann');
      }
      await expectCounted(one, 'ann');
    });

    it('a file is restored while another one comes by its name: both are there, by two names', async () => {
      for (let round = 0; round < ROUNDS / 4; round++) {
        const name = round % 2 ? 'f/x.txt' : 'x.txt';
        const { id } = await addPublished(one, newContent(`old ${round}`), { name });
        await one.deleteFile(id, 'ann', 'trash');
        const uploadId = await addUpload(other);
        const publication = { uploadId, epoch: 1, content: newContent(`new ${round}`), file: newFile({ name }) };
        await Promise.all([one.restoreTrashed('ann', { ids: [id] }), other.publish(publication)]);
        const files = await listed();
        expect(files.map((file) => file.name).toSorted()).toEqual([name.replace('x.', 'x (2).'), name]);
        for (const file of files) await one.deleteFile(file.id, 'ann');
      }
      await expectCounted(one, 'ann');
    });

    it('one restores what the service purges: it is there with its content, or gone with it', async () => {
      const outcomes = new Set<boolean>();
      for (let round = 0; round < ROUNDS; round++) {
        const text = `c${round}`;
        const { id, content } = await addPublished(one, newContent(text), { name: `f/${round}` });
        await one.deleteFile(id, 'ann', 'trash');
        const restore = () => one.restoreTrashed('ann', { ids: [id] });
        const purge = () => other.purgeTrash(-1);
        const first = round % 2 ? undefined : purge();
        const [restored, gone] = await Promise.all([restore(), first ?? purge()]);
        expect(restored.length + gone.files, text).toBe(1);
        outcomes.add(restored.length === 1);
        expect((await one.findFile(id, 'ann'))?.name).toBe(restored.length === 1 ? `f/${round}` : undefined);
        await expectContent(text, content.key, restored.length === 1);
        expect(await one.trashTotalOf('ann')).toEqual({ files: 0, bytes: 0 });
        if (restored.length === 1) await one.deleteFile(id, 'ann');
        await one.removalDone(content.key);
      }
      expect(outcomes.size).toBe(2);
    });

    it('a folder is deleted while uploads come into it: none is lost, and none is there without its content', async () => {
      const outcomes = new Set<string>();
      for (let round = 0; round < ROUNDS; round++) {
        const old = ['f/a', 'f/g/b', 'f/g/c'];
        for (const name of old) await addPublished(one, newContent(`${name} ${round}`), { name });
        const publish = async (catalog: Catalog, name: string): Promise<FileRecord> => {
          const uploadId = await addUpload(catalog);
          const content = newContent(`${name} ${round}`);
          const outcome = await catalog.publish({ uploadId, epoch: 1, content, file: newFile({ name }) });
          if (outcome.kind !== 'published') throw new Error(outcome.kind);
          return outcome.file;
        };
        const coming = [() => publish(other, 'f/new'), () => publish(one, 'f/g/new'), () => publish(other, 'f/h/new')];
        const [deleted, ...files] = await Promise.all([
          deleteAll(round % 2 ? one : other, 'f'),
          ...coming.map((come) => come()),
        ]);
        const there = (await listed()).map(({ id }) => id);
        // All that was there went; of what came, that which came first.
        expect(there.length).toBe(old.length + coming.length - deleted);
        for (const { id, name, content } of files)
          await expectContent(`${name} ${round}`, content.key, there.includes(id));
        await expectCounted(one, 'ann');
        const folder = await one.findFolder('ann', 'f');
        expect(folder?.files ?? 0).toBe(there.length);
        outcomes.add(String(there.length));
        await deleteAll(one, 'f');
        for (const { key } of await one.listRemovals(0, 1000)) await one.removalDone(key);
        expect(await listed()).toEqual([]);
      }
      expect([...outcomes].toSorted()).not.toEqual(['0']);
    });

    it('a folder is moved while it is deleted: each file is deleted, or at the new place, and nothing is at both', async () => {
      const outcomes = new Set<string>();
      for (let round = 0; round < ROUNDS; round++) {
        // Now and then more than one step deletes.
        const count = round % 40 === 0 ? 130 : 5;
        const names = Array.from({ length: count }, (_, index) => `f/${index % 3}/${index}`);
        for (const name of names) await addPublished(one, newContent(`${name} ${round}`), { name });
        const move = () => (round % 4 < 2 ? one : other).moveFolder('ann', 'f', 'to/h');
        const remove = () => deleteAll(round % 4 < 2 ? other : one, 'f');
        // The move begins ever later; in each eighth round, once all is deleted.
        const first = round % 2 ? remove() : undefined;
        for (let turns = round % 8; turns > 0; turns--) await turn();
        if (round % 8 === 7) await first;
        const [moved, deleted] = await Promise.all([move(), first ?? remove()]);
        const there = (await listed()).map(({ name }) => name);
        expect(there.length + deleted).toBe(count);
        expect(there.filter((name) => !name.startsWith('to/h/'))).toEqual([]);
        if (moved.kind === 'moved') expect(moved.folder.path).toBe('to/h');
        else expect([moved.kind, there]).toEqual(['not_found', []]);
        expect(await one.findFolder('ann', 'f')).toBeUndefined();
        expect(await one.totalOf('ann')).toMatchObject({ files: there.length });
        await expectCounted(one, 'ann');
        outcomes.add(deleted === 0 ? 'moved' : there.length === 0 ? 'deleted' : 'both');
        await deleteAll(one, 'to');
        for (const { key } of await one.listRemovals(0, 1000)) await one.removalDone(key);
      }
      expect(outcomes.size).toBeGreaterThan(1);
    });

    it('a folder is moved while uploads come into it: all are there once, and counted', async () => {
      for (let round = 0; round < ROUNDS / 2; round++) {
        await addPublished(one, newContent(`old ${round}`), { name: 'f/old' });
        const publish = async (catalog: Catalog, text: string) => {
          const uploadId = await addUpload(catalog);
          return catalog.publish({
            uploadId,
            epoch: 1,
            content: newContent(`${text} ${round}`),
            file: newFile({ name: 'f/new' }),
          });
        };
        const [moved, ...published] = await Promise.all([
          one.moveFolder('ann', 'f', 'h'),
          publish(other, 'a'),
          publish(one, 'b'),
        ]);
        expect([moved.kind, ...published.map(({ kind }) => kind)]).toEqual(['moved', 'published', 'published']);
        const names = (await listed()).map(({ name }) => name);
        expect(names).toHaveLength(3);
        expect(names).toContain('h/old');
        await expectCounted(one, 'ann');
        for (const path of ['f', 'h']) await deleteAll(one, path);
      }
    });
  });
});
