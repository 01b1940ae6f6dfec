/** Connections to PostgreSQL that are lost: what has not happened is tried again, what may have is not. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Client } from 'pg';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { type CuttingWire, openCuttingWire } from '../harness/cutting-wire.ts';
import { hasPostgres, startPostgres } from '../harness/postgres.ts';
import { createDatabase, createDatabaseOf, type TestDatabase, urlOf } from '../harness/shared-postgres.ts';
import { addPublished, addUpload, commitTo, newContent, newFile } from './fixtures.ts';

describe.skipIf(!hasPostgres())('a lost connection to PostgreSQL', () => {
  let database: TestDatabase;
  let wire: CuttingWire;
  let catalog: Catalog;

  beforeEach(async () => {
    database = await createDatabase();
    wire = await openCuttingWire(database.port);
    catalog = await openPostgresCatalog({ url: urlOf(wire.port, database.name) });
  });

  afterEach(async () => {
    await catalog.close();
    await wire.close();
    await database.drop();
  });

  /** Ends all connections to the database. */
  const endAll = (): Promise<object[]> =>
    database.run(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`);

  const countEvents = async (): Promise<number | undefined> =>
    (await catalog.listEvents({ owner: 'ann', after: 0, limit: 10 }))?.length;

  it('before the commit undoes the transaction, which is tried again', async () => {
    for (const [text, cut] of [
      ['begin isolation', 'before'],
      ['delete from "files"', 'before'],
      ['insert into "events"', 'after'],
      ['commit\0', 'before'],
    ] as const) {
      const { id } = await addPublished(catalog, newContent('c'));
      wire.cutAt(text, cut);
      const deletion = catalog.deleteFile(id, 'ann');
      if (text === 'commit\0') await expect(deletion, text).rejects.toMatchObject({ code: 'unavailable' });
      else expect(await deletion, text).toBeDefined();
      expect((await catalog.findFile(id, 'ann')) !== undefined, text).toBe(text === 'commit\0');
    }
  });

  it('in the commit may have happened: it is told, and not repeated', async () => {
    const { id } = await addPublished(catalog, newContent('c'));
    wire.cutAt('commit\0', 'after');
    await expect(catalog.deleteFile(id, 'ann')).rejects.toMatchObject({ name: 'CatalogError', code: 'unavailable' });
    await expect.poll(countEvents).toBe(2);
    expect(await catalog.totalOf('ann')).toEqual({ files: 0, bytes: 0 });
  });

  it('in a publication may have happened: it is told, and not repeated', async () => {
    const uploadId = await addUpload(catalog);
    const publication = { uploadId, epoch: 1, content: newContent('c'), file: newFile() };
    for (const cut of ['before', 'after'] as const) {
      wire.cutAt('publish_named_upload', cut);
      await expect(catalog.publish(publication)).rejects.toMatchObject({ code: 'unavailable' });
      if (cut === 'after') await expect.poll(countEvents).toBe(1);
      else expect((await catalog.findUpload(uploadId))?.state).toBe('receiving');
    }
    expect(await catalog.totalOf('ann')).toEqual({ files: 1, bytes: 100 });
  });

  it('in a statement that is a transaction of its own is told, where it writes', async () => {
    const id = await addUpload(catalog);
    wire.cutAt('update "uploads"', 'after');
    await expect(catalog.commitOffset(commitTo(id, 10))).rejects.toMatchObject({ code: 'unavailable' });
    wire.cutAt('select "id"', 'after');
    expect(await catalog.findUpload(id)).toMatchObject({ offset: 10 });
  });

  it('that is silent is given up after a while, and not tried again', async () => {
    const impatient = await openPostgresCatalog({
      url: urlOf(wire.port, database.name),
      queryTimeoutMs: 300,
    });
    const uploadId = await addUpload(impatient);
    wire.cutAt('publish_named_upload', 'silent');
    const publication = { uploadId, epoch: 1, content: newContent('c'), file: newFile() };
    await expect(impatient.publish(publication)).rejects.toMatchObject({ code: 'unavailable' });
    // The line is not used again.
    expect((await impatient.publish(publication)).kind).toBe('published');
    await impatient.close();
  });

  it('to a server that can only be read is given up: another may be in its place', async () => {
    const setReadOnly = (value: string): Promise<object[]> =>
      database.run(
        `set transaction read write; alter database ${database.name} set default_transaction_read_only = ${value}`,
      );
    await setReadOnly('on');
    await endAll();
    await expect(addUpload(catalog)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('can only be read'),
    });
    await setReadOnly('off');
    await addUpload(catalog);
  });

  it('that nobody used is not noticed', async () => {
    await Promise.all(Array.from({ length: 8 }, () => catalog.ping()));
    await endAll();
    const uploads = await Promise.all(
      Array.from({ length: 8 }, () => addPublished(catalog, newContent(`${Math.random()}`))),
    );
    expect(uploads).toHaveLength(8);
  });

  it('to a server that died is told until it is back', async () => {
    const server = await startPostgres();
    try {
      const { url } = await createDatabaseOf(server.port);
      const other = await openPostgresCatalog({ url });
      const file = await addPublished(other, newContent('c'));
      await server.kill();
      await expect
        .poll(() =>
          other.ping().then(
            () => 'answers',
            (error: { code: string }) => error.code,
          ),
        )
        .toBe('unavailable');
      await server.restart();
      expect(await other.findFile(file.id, 'ann')).toEqual(file);
      await other.close();
    } finally {
      await server.stop();
    }
  });

  it('is not what ends a deadlock: the transaction that was undone is tried again', async () => {
    const file = await addPublished(catalog, newContent('c'));
    const other = new Client({ connectionString: database.url });
    await other.connect();
    await other.query('begin');
    await other.query('select from files where id = $1 for update', [file.id]);
    const deletion = catalog.deleteFile(file.id, 'ann');
    const waiting = (): Promise<object[]> =>
      database.run(`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`);
    await expect.poll(waiting).toHaveLength(1);
    // Each holds what the other waits for. The one that has waited longest finds out and is undone.
    await other.query('select from contents where id = $1 for update', [file.content.id]);
    await other.query('rollback');
    await other.end();
    expect(await deletion).toEqual({ file, removedKey: file.content.key });
  });

  it('or not, text with a NUL is written and found with a sign that stands for it', async () => {
    const file = await addPublished(catalog, newContent('c'), { name: 'a\0b' });
    const { files } = await catalog.listFiles({
      owner: 'ann',
      limit: 9,
      sort: 'name',
      descending: false,
      search: 'A\0',
    });
    expect(files).toMatchObject([{ id: file.id, name: 'a\uFFFDb' }]);
    expect(await catalog.findUpload('\0')).toBeUndefined();
  });
});
