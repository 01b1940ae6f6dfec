/** The feed over a real catalog: nothing left out, nothing twice, nothing too early, one read for many. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Feed, FileEvent, Listening } from '../../server/outbox/feed.ts';
import { openOutbox } from './support.ts';

async function listen(feed: Feed, owner: string, after?: string): Promise<Listening> {
  const listening = await feed.listen(owner, after);
  if (!listening) throw new Error('too many listen');
  return listening;
}

/** Listens from now on. */
async function listenAnew(feed: Feed, owner: string): Promise<Listening> {
  const listening = await listen(feed, owner);
  expect(await listening.next()).toMatchObject({ kind: 'begin' });
  return listening;
}

/** So many events, the next ones. */
async function take(listening: Listening, count: number): Promise<FileEvent[]> {
  const heard: FileEvent[] = [];
  while (heard.length < count) {
    const told = await listening.next();
    if (told?.kind !== 'events') throw new Error(`${told?.kind} after ${heard.length} events`);
    heard.push(...told.events);
  }
  return heard;
}

/** Lets everything happen that waits for nothing else. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

const namesOf = (events: readonly FileEvent[]): string[] =>
  events.map((event) => ('file' in event ? event.file.name : event.to));
const upTo = (count: number): string[] => Array.from({ length: count }, (_, time) => String(time));

test('a listener can resume from each event', async () => {
  const { feed, cursors, happen } = await openOutbox();
  await happen('bob', 3);
  await happen('ann', 5);
  const all = await take(await listen(feed, 'ann', cursors.write('ann', 0)), 5);
  expect(namesOf(all)).toEqual(upTo(5));
  expect(all.map(({ kind }) => kind)).toEqual(['published', 'renamed', 'renamed', 'renamed', 'renamed']);
  for (const [index, { id }] of all.entries()) {
    if (index < 4) expect(await take(await listen(feed, 'ann', id), 4 - index)).toEqual(all.slice(index + 1));
  }
});

test(
  '10,000 missed events are told in order, each once; more are not told one by one',
  { timeout: 120_000 },
  async () => {
    const { feed, catalog, cursors, happen } = await openOutbox();
    const file = await happen('ann', 10_000);
    const listening = await listen(feed, 'ann', cursors.write('ann', 0));
    const all = await take(listening, 10_000);
    expect(namesOf(all)).toEqual(upTo(10_000));
    expect(new Set(all.map(({ id }) => id)).size).toBe(10_000);
    const next = take(listening, 1);
    await settle();

    await catalog.renameFile(file.id, 'ann', 'one more', null);
    expect(namesOf(await next)).toEqual(['one more']);
    const late = await listen(feed, 'ann', cursors.write('ann', 0));
    const first = await take(late, 10_000);
    expect(namesOf(first)).toEqual(upTo(10_000));
    expect(await late.next()).toEqual({ kind: 'begin', id: cursors.write('ann', 10_001) });
    await catalog.renameFile(file.id, 'ann', 'after it', null);
    expect(namesOf(await take(late, 1))).toEqual(['after it']);
  },
);

test('one read serves all who listen for an owner, and none is made for those of others', async () => {
  let reads = 0;
  const { feed, publish } = await openOutbox((catalog) => ({
    listEvents: (query) => {
      reads++;
      return catalog.listEvents(query);
    },
  }));
  const all = await Promise.all(Array.from({ length: 500 }, () => listenAnew(feed, 'ann')));
  expect(await feed.listen('ann')).toBeUndefined();
  let heard = all.map((listening) => take(listening, 1));
  await settle();
  expect(reads).toBe(1);
  await publish('bob', 'of bob');
  await settle();
  expect(reads).toBe(1);
  await publish('ann', 'first');
  for (const events of await Promise.all(heard)) expect(namesOf(events)).toEqual(['first']);
  expect(reads).toBe(2);
  // Those who come to the place a little later have the same page; from there on there is one more, which is empty.
  heard = all.map((listening) => take(listening, 1));
  await settle();
  expect(reads).toBe(3);
  all[0]?.stop();
  await expect(heard[0]).rejects.toThrow('undefined after 0 events');
  await publish('ann', 'second');
  for (const events of await Promise.all(heard.slice(1))) expect(namesOf(events)).toEqual(['second']);
  expect(await feed.listen('ann')).toBeDefined();
});

test('what happens while a read is under way is told, also to those who share that read', async () => {
  let pass: (() => void) | undefined;
  let isHeld = false;
  const { feed, publish } = await openOutbox((catalog) => ({
    listEvents: async (query) => {
      const rows = await catalog.listEvents(query);
      if (isHeld) await new Promise<void>((resolve) => (pass = resolve));
      return rows;
    },
  }));
  const [first, second] = [await listenAnew(feed, 'ann'), await listenAnew(feed, 'ann')];
  isHeld = true;
  const heard = [take(first, 1)];
  await settle();
  isHeld = false;
  // The read has found nothing, and the wake comes before that is known.
  await publish('ann', 'meanwhile');
  heard.push(take(second, 1));
  pass?.();
  for (const events of await Promise.all(heard)) expect(namesOf(events)).toEqual(['meanwhile']);
});

test('nothing is told before it is durable, nor is a cursor that points there', async () => {
  let isDurable: () => void = () => undefined;
  let waiting = 0;
  const { feed, publish } = await openOutbox(() => ({
    durable: async () => {
      waiting++;
      await new Promise<void>((resolve) => (isDurable = resolve));
    },
  }));
  let isTold = false;
  const began = listen(feed, 'ann').then((listening) => {
    isTold = true;
    return listening;
  });
  await settle();
  expect([isTold, waiting]).toEqual([false, 1]);
  isDurable();
  const listening = await began;
  await listening.next();
  isTold = false;
  const heard = take(listening, 1).then((events) => {
    isTold = true;
    return events;
  });
  await publish('ann', 'a');
  await settle();
  expect([isTold, waiting]).toEqual([false, 2]);
  isDurable();
  expect(namesOf(await heard)).toEqual(['a']);
});

test('after what was forgotten, what another catalog or nobody has written, it begins anew', async () => {
  const { feed, catalog, cursors, happen } = await openOutbox();
  const file = await happen('ann', 3);
  const begin = { kind: 'begin', id: cursors.write('ann', 3) };
  for (const after of ['x', cursors.write('bob', 1), cursors.write('ann', 4)]) {
    expect(await (await listen(feed, 'ann', after)).next(), after).toEqual(begin);
  }
  const slow = await listen(feed, 'ann', cursors.write('ann', 1));
  await catalog.forgetEvents(-1, 2);
  expect(await slow.next()).toEqual(begin);
  expect(namesOf(await take(await listen(feed, 'ann', cursors.write('ann', 2)), 1))).toEqual(['2']);
  await catalog.forgetEvents(-1, 2);
  expect(await (await listen(feed, 'ann')).next()).toEqual(begin);
  const quiet = await listen(feed, 'ann', cursors.write('ann', 3));
  await catalog.renameFile(file.id, 'ann', 'new', null);
  expect(namesOf(await take(quiet, 1))).toEqual(['new']);
});

test('who stops hears nothing more, also in the middle of a read', async () => {
  const { feed, publish } = await openOutbox();
  const [idle, reading] = [await listenAnew(feed, 'ann'), await listenAnew(feed, 'ann')];
  const waiting = idle.next();
  await settle();
  idle.stop();
  expect(await waiting).toBeUndefined();
  await publish('ann', 'a');
  const late = reading.next();
  reading.stop();
  reading.stop();
  expect(await late).toBeUndefined();
  const again = await listenAnew(feed, 'ann');
  await publish('ann', 'b');
  expect(namesOf(await take(again, 1))).toEqual(['b']);
});

test.each([
  ['when it is read', true, false],
  ['when it is told', false, true],
])('what may not be told of an event %s is not told', async (_, whenRead, whenTold) => {
  let isPending = whenRead;
  const { feed, catalog, publish } = await openOutbox(
    (plain) => ({
      durable: async () => {
        await plain.durable();
        isPending = whenTold;
      },
    }),
    (file) => (isPending ? { ...file, content: { ...file.content, sha1: null } } : file),
  );
  const listening = await listenAnew(feed, 'ann');
  isPending = whenRead;
  const { content } = await publish('bob', 'of bob');
  await catalog.addDigests(content.id, { sha1: 'd'.repeat(40) });
  await catalog.addFile(content.id, { id: 'a', owner: 'ann', name: 'a', type: null });
  const [event] = await take(listening, 1);
  expect(event).toMatchObject({ file: { content: { sha1: null } } });
});
