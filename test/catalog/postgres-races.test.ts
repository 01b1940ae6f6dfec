/** What several nodes do at once to one catalog in PostgreSQL: one truth, whoever comes first. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Client } from 'pg';
import type { Catalog, EventRecord, NewFile } from '../../server/catalog/catalog.ts';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { createDatabase, type TestDatabase, urlOf } from '../harness/shared-postgres.ts';
import { openStatementWire } from '../harness/statement-wire.ts';
import { expectCounted } from './contract-folders.ts';
import { newUploadLink } from './contract-sent-uploads.ts';
import {
  aboutNode,
  addPublished,
  addUpload,
  newContent,
  newFile,
  newUpload,
  removalKeys,
  giveFile,
  fileEvents,
} from './fixtures.ts';

const ROUNDS = 40;

describe.skipIf(!hasPostgres())('nodes of one catalog in PostgreSQL', () => {
  let database: TestDatabase;
  let one: Catalog;
  let other: Catalog;

  beforeEach(async () => {
    database = await createDatabase();
    const options = { url: database.url };
    [one, other] = [await openPostgresCatalog(options), await openPostgresCatalog(options)];
    // Connections of both are there: no race is decided by who connects first.
    for (const catalog of [one, other]) await Promise.all(Array.from({ length: 4 }, () => catalog.ping()));
  });

  afterEach(async () => {
    await Promise.all([one.close(), other.close()]);
    await database.drop();
  });

  /** Who waits for a lock. */
  const waiting = (): Promise<object[]> =>
    database.run(`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`);

  /** Whether a content is there whole, or gone whole. */
  async function expectOneTruth(key: string, md5: string, isThere: boolean): Promise<void> {
    expect((await one.findContents({ md5 })).map((content) => content.key)).toEqual(isThere ? [key] : []);
    expect(await removalKeys(one, 1000)).toEqual(isThere ? [] : [key]);
    if (!isThere) await one.removalDone(key);
  }

  it('join a content, or delete it with its last file', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { id, content } = await addPublished(one, newContent(`c${round}`));
      const uploadId = await addUpload(one);
      const join = async (): Promise<boolean> =>
        round % 2 === 0
          ? (await giveFile(other, content.id, { owner: 'bob' })) !== undefined
          : (await other.publish({ uploadId, epoch: 1, content: { id: content.id }, file: newFile({ name: 'b' }) }))
              .kind === 'published';
      const [deleted, isJoined] = await Promise.all([one.deleteFile(id, 'ann'), join()]);
      expect(deleted?.removedKey).toBe(isJoined ? null : content.key);
      await expectOneTruth(content.key, content.md5, isJoined);
    }
  });

  it('delete a file that an upload joins again, and neither waits for the other in a circle', async () => {
    const file = await addPublished(one, newContent('c'));
    const joining = new Client({ connectionString: database.url });
    await joining.connect();
    await joining.query('begin');
    await joining.query('select from contents where id = $1 for update', [file.content.id]);
    const deletion = other.deleteFile(file.id, 'ann');
    await expect.poll(waiting).toHaveLength(1);
    // As the reference of an upload to its file does.
    await joining.query('select from files where id = $1 for key share nowait', [file.id]);
    await joining.query('commit');
    await joining.end();
    expect((await deletion)?.removedKey).toBe(file.content.key);
  });

  it('move a content to another key, or delete it', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { id, content } = await addPublished(one, newContent(`c${round}`));
      const uploadId = await addUpload(one);
      const key = `healed ${round}`;
      const [deleted, outcome] = await Promise.all([
        one.deleteFile(id, 'ann'),
        other.publish({ uploadId, epoch: 1, content: { id: content.id, key }, file: newFile({ name: 'b' }) }),
      ]);
      const isHealed = outcome.kind === 'published';
      expect(deleted?.removedKey).toBe(isHealed ? null : content.key);
      expect((await one.findContents({ md5: content.md5 })).map((found) => found.key)).toEqual(isHealed ? [key] : []);
      expect(await removalKeys(one, 1000)).toEqual([content.key]);
      await one.removalDone(content.key);
    }
  });

  it('publish under a key, or remove what was there before', async () => {
    for (const node of ['a', 'b']) await one.joinNode(node, aboutNode());
    let published = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const content = newContent(`c${round}`);
      const { id } = await addPublished(one, content);
      await one.deleteFile(id, 'ann');
      const uploadId = await addUpload(one);
      const [isRemoving, outcome] = await Promise.all([
        one.claimRemoval(content.key, 'a', 60_000),
        other.publish({ uploadId, epoch: 1, content, file: newFile() }),
      ]);
      expect(outcome.kind).toBe(isRemoving ? 'conflict' : 'published');
      if (!isRemoving) published++;
      expect(await one.findContents({ md5: content.md5 })).toHaveLength(isRemoving ? 0 : 1);
      expect(await removalKeys(one, 1000)).toEqual(isRemoving ? [content.key] : []);
      await one.removalDone(content.key);
    }
    expect(published).toBeLessThan(ROUNDS);
  });

  it('give the same file once', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { content } = await addPublished(one, newContent(`c${round}`));
      const given = await Promise.all(
        [one, other, one, other].map((catalog) => giveFile(catalog, content.id, { owner: 'bob' })),
      );
      expect(new Set(given.map((file) => file?.id)).size).toBe(1);
    }
  });

  it('publish an upload once, and delete a file once', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const uploadId = await addUpload(one);
      const publish = (catalog: Catalog, text: string) =>
        catalog.publish({ uploadId, epoch: 1, content: newContent(text), file: newFile() });
      const outcomes = await Promise.all([publish(one, `a${round}`), publish(other, `b${round}`)]);
      expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['lost', 'published']);
      const { fileId } = (await one.findUpload(uploadId)) ?? {};
      const deletions = await Promise.all([one, other].map((each) => each.deleteFile(fileId ?? '', 'ann')));
      expect(deletions.filter((deletion) => deletion !== undefined)).toHaveLength(1);
    }
    expect(await one.totalOf('ann')).toEqual({ files: 0, bytes: 0 });
    const kinds = (await one.listEvents({ owner: 'ann', after: 0, limit: 1000 }))?.map(({ kind }) => kind);
    expect(kinds).toEqual(Array.from({ length: ROUNDS }, () => ['published', 'deleted']).flat());
  });

  it('rename a file and delete it: the event of its end has the name it had then', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { id } = await addPublished(one, newContent(`c${round}`), { name: 'old' });
      const [renamed] = await Promise.all([one.renameFile(id, 'ann', 'new', null), other.deleteFile(id, 'ann')]);
      const events = (await one.listEvents({ owner: 'ann', after: 0, limit: 1000 })) ?? [];
      const told = fileEvents(events)
        .filter(({ file }) => file.id === id)
        .map(({ kind, file }) => `${kind} ${file.name}`);
      expect(told).toEqual(
        renamed ? ['published old', 'renamed new', 'deleted new'] : ['published old', 'deleted old'],
      );
    }
  });

  it('name files, and move and delete them and their folders: one truth, and totals that a recount gives', async () => {
    const kinds = new Set<string>();
    for (let round = 0; round < 100; round++) {
      const old = await addPublished(one, newContent(`old ${round}`), { name: 'f/g/old' });
      const publish = async (catalog: Catalog, text: string, name: string, fields: Partial<NewFile> = {}) => {
        const uploadId = await addUpload(catalog);
        const file = newFile({ name, ...fields });
        return catalog.publish({ uploadId, epoch: 1, content: newContent(`${text} ${round}`), file });
      };
      const all: (() => Promise<{ kind: string } | object | undefined>)[] = [
        () => publish(one, 'a', 'f/g/same'),
        () => publish(other, 'b', 'f/g/same'),
        () => publish(one, 'c', 'top'),
        () => publish(other, 'd', 'top'),
        () => publish(other, 'e', 'f/g/old', { onConflict: 'replace' }),
        () => one.moveFolder('ann', 'f/g', 'h/g'),
        () => other.moveFolder('ann', 'h/g', 'f/g'),
        () => one.deleteFile(old.id, 'ann'),
        () => other.renameFile(old.id, 'ann', 'h/g/old', null),
        () => one.deleteBelow('ann', 'f'),
      ];
      // Five of them, others in each round.
      const some = Array.from({ length: 5 }, (_, index) => all[(round * 3 + index * (1 + (round % 3))) % all.length]);
      const outcomes = await Promise.all(some.map(async (run) => run?.()));
      for (const outcome of outcomes) if (outcome && 'kind' in outcome) kinds.add(outcome.kind);
      await expectCounted(one, 'ann');
      if (round % 5 === 4) {
        for (const folder of ['f', 'h']) while (await one.deleteBelow('ann', folder));
        for (const { id } of (await one.listFiles({ owner: 'ann', limit: 1000, sort: 'name', descending: false }))
          .files)
          await one.deleteFile(id, 'ann');
        expect(await one.findFolder('ann', 'f')).toBeUndefined();
      }
    }
    expect(kinds).toContain('moved');
    // Locks are taken in one order: nobody waits in a circle, which would take a second each time.
    const [found] = await database.run(
      'select deadlocks::int from pg_stat_database where datname = current_database()',
    );
    expect((found as { deadlocks: number }).deadlocks).toBe(0);
    expect(await one.totalOf('ann')).toEqual({ files: 0, bytes: 0 });
  });

  it('begin no more uploads of an owner than are wanted', async () => {
    for (let round = 0; round < ROUNDS / 4; round++) {
      const owner = `owner ${round}`;
      const begun = await Promise.all(
        Array.from({ length: 12 }, (_, index) => (index % 2 ? one : other).createUpload(newUpload({ owner }), 5)),
      );
      expect(begun.filter((isBegun) => isBegun)).toHaveLength(5);
    }
  });

  it('begin uploads of an owner without waiting, as long as the bound is far', async () => {
    const far =
      (await database.run<{ far: number }>(`select 2 * current_setting('max_connections')::int as far`))[0]?.far ?? 0;
    const fill = (count: number): Promise<object[]> =>
      database.run(`insert into uploads (id, owner, state, metadata, "offset", epoch, created_at, last_byte_at, expires_at)
        select 'filled ' || n, 'ann', 'receiving', '', 0, 1, 1, 1, 1 from generate_series(1, ${count}) as n`);
    const late = new Client({ connectionString: database.url });
    await late.connect();
    // As one that has begun an upload, and is not committed.
    await late.query(`begin; select pg_advisory_xact_lock_shared(hashtextextended('open uploads of ann', 0))`);
    const most = far + 10;
    expect(await one.createUpload(newUpload(), most)).toBeDefined();
    await fill(most - 6);
    const begun = Promise.all(
      Array.from({ length: 12 }, (_, index) => (index % 2 ? one : other).createUpload(newUpload(), most)),
    );
    await expect.poll(waiting).not.toHaveLength(0);
    await late.query('commit');
    await late.end();
    expect((await begun).filter((times) => times)).toHaveLength(5);
  });

  it('take a lease, and a claim, one of them', async () => {
    for (const node of ['a', 'b']) await one.joinNode(node, aboutNode());
    for (let round = 0; round < ROUNDS; round++) {
      const id = await addUpload(one);
      const seen = { id, epoch: 1 };
      const epochs = await Promise.all([one.takeLease(seen, 'a'), other.takeLease(seen, 'b')]);
      expect(epochs.filter((epoch) => epoch === 2)).toHaveLength(1);
      const work = randomUUID();
      const claims = await Promise.all([one.claim(work, 'a', 60_000), other.claim(work, 'b', 60_000)]);
      expect(claims.sort()).toEqual([false, true]);
    }
  });

  it('list events so that none comes before one that was listed, whenever it is committed', async () => {
    const late = new Client({ connectionString: database.url });
    await late.connect();
    await late.query('begin');
    // What it would have got with the insertion comes before the number of the one that is committed first.
    await late.query(`insert into events (owner, kind, at, file_id, name, uploaded_at, content_id, md5, size)
      values ('ann', 'renamed', 1, 'late', 'late', 1, 1, '', 1)`);
    await addPublished(one, newContent('c'));
    const list = (catalog: Catalog, after: number): Promise<EventRecord[] | null> =>
      catalog.listEvents({ owner: 'ann', after, limit: 10 });
    expect(await list(one, 0)).toMatchObject([{ number: 1, kind: 'published' }]);
    await late.query('commit');
    await late.end();
    expect(await list(other, 1)).toMatchObject([{ number: 2, kind: 'renamed' }]);
  });

  it('live on while all that they ask waits for one that stands still', async () => {
    await one.joinNode('a', aboutNode());
    await addPublished(one, newContent('c'));
    const frozen = new Client({ connectionString: database.url });
    await frozen.connect();
    await frozen.query('begin; select from event_numbers for update');
    const listed = Array.from({ length: 12 }, () => one.listEvents({ owner: 'ann', after: 0, limit: 10 }));
    // All connections of its pool.
    await expect.poll(waiting).toHaveLength(10);
    const beat = await Promise.race([one.beatNode('a'), sleep(4_000, 'no answer')]);
    await frozen.end();
    expect(beat).toBe(true);
    for (const events of await Promise.all(listed)) expect(events).toHaveLength(1);
  });

  it('number events in one message: none stands still with the lock that all readers wait for', async () => {
    const wire = await openStatementWire(database.port);
    const catalog = await openPostgresCatalog({ url: urlOf(wire.port, database.name) });
    await addPublished(one, newContent('c'));
    const before = wire.transactions.length;
    expect(await catalog.listEvents({ owner: 'ann', after: 0, limit: 10 })).toMatchObject([{ number: 1 }]);
    for (const transaction of wire.transactions.slice(before)) expect(transaction).toHaveLength(1);
    await catalog.close();
    await wire.close();
  });

  it('see all events in one order, while they happen', async () => {
    const seen = new Map<Catalog, number[]>([
      [one, []],
      [other, []],
    ]);
    let isDone = false;
    async function follow(catalog: Catalog): Promise<void> {
      const numbers = seen.get(catalog) ?? [];
      for (let isLast = false; !isLast;) {
        isLast = isDone;
        for (const { number } of (await catalog.listEvents({ owner: null, after: numbers.at(-1) ?? 0, limit: 7 })) ??
          [])
          numbers.push(number);
        if (numbers.length < MANY) isLast = false;
      }
    }
    const MANY = 120;
    const followers = [follow(one), follow(other)];
    await Promise.all(
      Array.from({ length: MANY }, (_, index) => addPublished(index % 2 ? one : other, newContent(`c${index}`))),
    );
    isDone = true;
    await Promise.all(followers);
    const all = Array.from({ length: MANY }, (_, index) => index + 1);
    expect([...seen.values()]).toEqual([all, all]);
    expect(await one.totalOf('ann')).toEqual({ files: MANY, bytes: MANY * 100 });
  });

  it('keeps an upload link that a node of the version before takes for an empty one', async () => {
    const link = newUploadLink();
    await one.createLink(link, 1000);
    const before = new Client({ connectionString: database.url });
    await before.connect();
    await before.query('update links set empty_since = 0 where id = $1', [link.id]);
    await one.forgetLinks('', 1000, 10);
    const { rows } = await before.query('select empty_since from links');
    await before.end();
    expect(rows).toEqual([{ empty_since: null }]);
  });

  it('take no more by a link than it takes, at both', async () => {
    for (let round = 0; round < 10; round++) {
      const link = newUploadLink({ mostFiles: 3, mostBytes: 100 });
      await one.createLink(link, 1000);
      const sent = { linkId: link.id, sender: null, note: null };
      const begun = await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          const upload = newUpload({ sent, size: round % 2 === 0 ? 1 : 40 });
          const outcome = await (index % 2 === 0 ? one : other).createUpload(upload, 1_000_000);
          return outcome === 'quota' ? undefined : upload.id;
        }),
      );
      const ids = begun.filter((id) => id !== undefined);
      expect(ids).toHaveLength(round % 2 === 0 ? 3 : 2);
      // Ended at both while others begin: what is given back is taken once.
      const ended = Promise.all(ids.map((id, index) => (index % 2 ? one : other).endUpload(id, 1, 'terminated', null)));
      await Promise.all([
        ended,
        one.createUpload(newUpload({ sent, size: 1 })),
        one.changeLink(link.id, 'ann', { lifeMs: 10_000 }, 1000),
      ]);
      const open = await other.listOpenSent(link.id, 10);
      const { upload } = (await other.findOwnLink(link.id, 'ann')) ?? {};
      expect(upload).toMatchObject({ sentFiles: open.length, sentBytes: open.length });
    }
  });

  it('forget events, each its part', async () => {
    for (let count = 0; count < 30; count++)
      await addPublished(one, newContent(`c${count}`), { owner: `o${count % 3}` });
    for (let round = 0; round < 6; round++) await Promise.all([one.forgetEvents(-1, 5), other.forgetEvents(-1, 3)]);
    expect(await one.latestEvent(null)).toBe(30);
    expect(await Promise.all(['o0', 'o1', 'o2'].map((owner) => other.latestEvent(owner)))).toEqual([28, 29, 30]);
    expect(await one.listEvents({ owner: 'o0', after: 27, limit: 10 })).toBeNull();
  });

  it('forget events, and how far never goes back', async () => {
    for (let count = 0; count < 6; count++) await addPublished(one, newContent(`c${count}`));
    expect(await one.latestEvent('ann')).toBe(6);
    const ahead = new Client({ connectionString: database.url });
    await ahead.connect();
    await ahead.query(`begin; insert into forgotten_events values ('ann', 5); delete from events where number <= 5`);
    const behind = other.forgetEvents(-1, 3);
    await expect.poll(waiting).toHaveLength(1);
    await ahead.query('commit');
    await ahead.end();
    expect(await behind).toBe(0);
    expect(await one.listEvents({ owner: 'ann', after: 4, limit: 10 })).toBeNull();
  });
});
