/** SHA-1 after publication, where it does not go as it should: too many at once, bytes that are away for a while. */
import { createHash, randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { FileRecord } from '../../server/catalog/catalog.ts';
import { createLaterDigests } from '../../server/jobs/digests.ts';
import { type LaterDigests, NOTHING_LATER } from '../../server/uploads/later-digests.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type House, openHouse } from '../uploads/support.ts';

/** A file of these bytes; its SHA-1 is not computed yet. */
async function publish({ uploads, begin, parts }: House, bytes: Buffer): Promise<FileRecord> {
  const id = await begin(bytes);
  const { signal } = new AbortController();
  const writer = await uploads.open(id, 'anyone', { signal });
  const { file } = await writer.append(Readable.from([bytes]), { maxBytes: bytes.length });
  await writer.release();
  const row = file && (await parts.catalog.findFile(file.id, 'anyone'));
  if (!row) throw new Error('not published');
  return row;
}

async function knownOf({ parts }: House, bytes: Buffer): Promise<string | null | undefined> {
  return (await parts.catalog.findContents({ md5: md5(bytes) }))[0]?.sha1;
}

function sha1(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}

test('one that could not be read is looked at again, though others come all the time', async () => {
  const house = await openHouse({});
  const [away, other] = [makeBytes(1_000, 18_001), makeBytes(1_000, 18_002)];
  const [file, often] = [await publish(house, away), await publish(house, other)];
  const path = join(house.folder, 'files', file.content.key);
  await rename(path, `${path}.away`);
  const later = createLaterDigests(house.parts, { lookAgainMs: 300 });
  const running = later.run(() => false);
  later.note(file);
  await expect.poll(() => later.isPending(file)).toBe(false);
  await expect.poll(() => knownOf(house, other)).toBe(sha1(other));
  await rename(`${path}.away`, path);
  const until = Date.now() + 5_000;
  while ((await knownOf(house, away)) === null && Date.now() < until) {
    later.note(often);
    await wait(50);
  }
  expect(await knownOf(house, away)).toBe(sha1(away));
  house.stop();
  await running;
});

test('of more than are remembered none is told before all are there', async () => {
  const house = await openHouse({});
  const [before, first, known, unknown] = [1, 2, 3, 4].map((seed) => makeBytes(1_000, 18_010 + seed)) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  const old = await publish(house, before);
  await wait(2);
  const files = [await publish(house, first), await publish(house, known), await publish(house, unknown)];
  // As if another owner had sent it before.
  await house.parts.catalog.addDigests(files[1]?.content.id ?? 0, { sha1: sha1(known) });
  const later = createLaterDigests(house.parts, { mostRecent: 1 });
  for (const file of files) later.note(file);
  expect(files.map(later.isPending)).toEqual([true, true, true]);
  expect(later.isPending(old)).toBe(false);
  const running = later.run(() => false);
  await expect.poll(() => files.map(later.isPending)).toEqual([false, false, false]);
  expect(await knownOf(house, unknown)).toBe(sha1(unknown));
  house.stop();
  await running;
});

test('who asks does not wait for the rest after an older content', async () => {
  const house = await openHouse({});
  const [slow, mine] = [makeBytes(1_000, 18_020), makeBytes(1_000, 18_021)];
  const older = await publish(house, slow);
  let isReading = false;
  const { store } = house.parts;
  const slowStore = Object.assign(Object.create(store) as typeof store, {
    readContent: async (...args: Parameters<typeof store.readContent>) => {
      if (args[0] === older.content.key) {
        isReading = true;
        await wait(1_000);
      }
      return store.readContent(...args);
    },
  });
  const later = createLaterDigests({ ...house.parts, store: slowStore });
  const running = later.run(() => false);
  await expect.poll(() => isReading).toBe(true);
  later.note(await publish(house, mine));
  await later.caughtUp('anyone');
  expect(await knownOf(house, mine)).toBe(sha1(mine));
  house.stop();
  await running;
});

test.for([
  ['uploads arrive', 99, true],
  ['nothing arrives', 9, false],
] as const)('while %s, the rest after a content is %d times as long as the work', async ([, factor, receiving]) => {
  const house = await openHouse({});
  const file = await publish(house, makeBytes(1_000, 18_040));
  const { store, surroundings } = house.parts;
  const readingMs = 10;
  let nowMs = 0;
  const slowStore = Object.assign(Object.create(store) as typeof store, {
    readContent: async (...args: Parameters<typeof store.readContent>) => {
      nowMs += readingMs;
      return store.readContent(...args);
    },
  });
  const rests: number[] = [];
  const watched: typeof surroundings = {
    ...surroundings,
    elapsedMs: () => nowMs,
    wait: async (forMs, options) => {
      rests.push(forMs);
      await surroundings.wait(forMs, options);
    },
  };
  const later = createLaterDigests({ ...house.parts, store: slowStore, surroundings: watched });
  later.note(file);
  const running = later.run(() => receiving);
  await expect.poll(() => rests[0]).toBe(readingMs * factor);
  house.stop();
  await running;
});

test('while uploads arrive, a large content is computed in small pieces, until a request waits for it', async () => {
  const house = await openHouse({});
  const bytes = makeBytes(2_000_000, 18_050);
  const file = await publish(house, bytes);
  const { surroundings } = house.parts;
  let nowMs = 0;
  const rests: number[] = [];
  const watched: typeof surroundings = {
    ...surroundings,
    // Each look at the clock takes a millisecond, so that hashing takes time.
    elapsedMs: () => nowMs++,
    // As long as it takes until somebody asks; the patience of who asks ends as usual.
    wait: async (forMs, options) => {
      rests.push(forMs);
      await surroundings.wait(60_000, options);
    },
  };
  const later = createLaterDigests({ ...house.parts, surroundings: watched });
  later.note(file);
  const running = later.run(() => true);
  await expect.poll(() => rests).toEqual([2 * 99]);
  expect(await knownOf(house, bytes)).toBeNull();
  await later.caughtUp('anyone');
  expect(await knownOf(house, bytes)).toBe(sha1(bytes));
  house.stop();
  await running;
});

test('a declared one is not computed to its end when the service stops', async () => {
  const house = await openHouse({});
  const { parts, uploads } = house;
  const bytes = makeBytes(1_000_000, 18_030);
  parts.later = { ...NOTHING_LATER, isOn: true };
  let read = 0;
  Object.assign(parts.store, {
    readUpload: async () => {
      async function* chunks(): AsyncIterable<Buffer> {
        for (; read < bytes.length; read += 1_000) {
          if (read === 100_000) house.stop();
          yield bytes.subarray(read, read + 1_000);
          await wait(0);
        }
      }
      return Readable.from(chunks());
    },
  });
  const id = randomUUID();
  const labels = { md5: null, sha256: null, filename: 'a', filetype: null, metadata: '' };
  await uploads.begin({ id, owner: 'anyone', declaration: { size: bytes.length, sha1: sha1(bytes), ...labels } });
  const { signal } = new AbortController();
  const writer = await uploads.open(id, 'anyone', { signal });
  await expect(writer.append(Readable.from([bytes]), { maxBytes: bytes.length })).rejects.toThrow('aborted');
  await writer.release();
  expect(read).toBeLessThan(bytes.length / 2);
  // The next start publishes it.
  expect(await uploads.current(id, 'anyone')).toMatchObject({ state: 'receiving', offset: bytes.length });
});

test('where another process is the worker, only what was published here is computed, and nothing spins', async () => {
  const house = await openHouse({});
  const [older, mine] = [makeBytes(1_000, 18_040), makeBytes(1_000, 18_041)];
  await publish(house, older);
  const { surroundings } = house.parts;
  let rests = 0;
  const counting = Object.assign(Object.create(surroundings) as typeof surroundings, {
    wait: (...args: Parameters<typeof surroundings.wait>) => {
      rests++;
      return surroundings.wait(...args);
    },
  });
  const later = createLaterDigests({ ...house.parts, surroundings: counting }, { takesOlder: false });
  const running = later.run(() => false);
  // With an older content to take, its first turn would take it.
  await wait(50);
  later.note(await publish(house, mine));
  await expect.poll(() => knownOf(house, mine)).toBe(sha1(mine));
  expect(await knownOf(house, older)).toBeNull();
  expect(rests).toBeLessThan(5);
  // What its owner asks for is.
  await later.caughtUp('anyone');
  expect(await knownOf(house, older)).toBe(sha1(older));
  expect(rests).toBeLessThan(10);
  house.stop();
  await running;
});

/** A later that finds contents as another node, or a process that has ended, left them; its patience passes 50 times as fast. */
function impatient(house: House, claims: boolean): { later: LaterDigests; patience: number[] } {
  const { catalog, surroundings } = house.parts;
  const patience: number[] = [];
  const hurried: typeof surroundings = {
    ...surroundings,
    setTimeout: (callback, forMs) => {
      patience.push(forMs);
      return surroundings.setTimeout(callback, forMs / 50);
    },
    wait: (forMs, options) => surroundings.wait(forMs / 50, options),
  };
  // Where it has no claim, another node has it.
  const others = Object.assign(Object.create(catalog) as typeof catalog, { claim: async () => claims });
  const parts = { ...house.parts, catalog: others, surroundings: hurried };
  return { later: createLaterDigests(parts, { takesOlder: false }), patience };
}

test('who asks waits for what was published before this process began, and for nothing of others', async () => {
  const house = await openHouse({});
  const [mine, known] = [makeBytes(1_000, 18_050), makeBytes(1_000, 18_051)];
  await publish(house, mine);
  await publish(house, known);
  const { later } = impatient(house, true);
  const running = later.run(() => false);
  await later.caughtUp('somebody else');
  expect(await knownOf(house, mine)).toBeNull();
  await later.caughtUp('anyone');
  expect([await knownOf(house, mine), await knownOf(house, known)]).toEqual([sha1(mine), sha1(known)]);
  house.stop();
  await running;
});

test('who asks waits while another node computes, and five seconds at most', async () => {
  const house = await openHouse({});
  const bytes = makeBytes(1_000, 18_052);
  const file = await publish(house, bytes);
  const { later, patience } = impatient(house, false);
  const running = later.run(() => false);
  const askedAt = performance.now();
  await later.caughtUp('anyone');
  expect(patience).toEqual([5_000]);
  // All of it, as it passes here.
  expect(performance.now() - askedAt).toBeGreaterThan(5_000 / 50 - 5);
  expect(await knownOf(house, bytes)).toBeNull();
  let isWaiting = true;
  const waiting = later.caughtUp('anyone').then(() => (isWaiting = false));
  expect(isWaiting).toBe(true);
  await house.parts.catalog.addDigests(file.content.id, { sha1: sha1(bytes) });
  await waiting;
  house.stop();
  await running;
});

test('however many requests wait while another node computes, they look together', async () => {
  const house = await openHouse({});
  setMaxListeners(0, house.parts.stopping);
  const bytes = makeBytes(1_000, 18_054);
  await publish(house, bytes);
  let [looks, running, most] = [0, 0, 0];
  const { catalog } = house.parts;
  house.parts.catalog = Object.assign(Object.create(catalog) as typeof catalog, {
    listOwnWithoutSha1: (...args: Parameters<typeof catalog.listOwnWithoutSha1>) => {
      looks++;
      most = Math.max(most, ++running);
      return catalog.listOwnWithoutSha1(...args).finally(() => running--);
    },
  });
  const { later, patience } = impatient(house, false);
  const job = later.run(() => false);
  await Promise.all(Array.from({ length: 100 }, () => later.caughtUp('anyone')));
  expect(patience.length).toBe(100);
  expect(looks).toBeGreaterThan(1);
  expect(most).toBe(1);
  // 25 pauses fit into the patience; each request by itself would look once after each of them.
  expect(looks).toBeLessThan(250);
  house.stop();
  await job;
});

test('nobody waits twice for what cannot be read', async () => {
  const house = await openHouse({});
  const bytes = makeBytes(1_000, 18_053);
  const { content } = await publish(house, bytes);
  await rm(join(house.folder, 'files', content.key));
  const { later, patience } = impatient(house, true);
  let looks = 0;
  Object.assign(house.parts.store, {
    readContent: (
      (read) =>
      (...args: Parameters<typeof read>) => {
        looks++;
        return read(...args);
      }
    )(house.parts.store.readContent.bind(house.parts.store)),
  });
  const running = later.run(() => false);
  for (let asked = 0; asked < 3; asked++) await later.caughtUp('anyone');
  expect([looks, patience.length]).toEqual([1, 3]);
  house.stop();
  await running;
});
