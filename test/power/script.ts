/** The recorded run: everything a client can do that leaves a trace on the disk, with kills in between. */
import { setTimeout as wait } from 'node:timers/promises';
import { createRandom } from '../../scripts/chaos/random.ts';
import { md5 } from '../harness/bytes.ts';
import { type Client, createClient } from './client.ts';
import type { Recorder } from './recorder.ts';
import { md5Of, type Script, type Story } from './story.ts';

const KIB = 1024;

export interface ScriptOptions {
  seed: number;
  /** File calls of 10,000 that fail, until the end. */
  faults?: number;
  /** Syncs that fail, one after the other: each is the nth of a file whose path ends so, from the one before on. */
  failSyncs?: readonly { pathEnd: string; nth: number }[];
}

/** Plays it once. What was told is in its stories, also when calls fail. */
export async function playScript(
  recorder: Recorder,
  { seed, faults = 0, failSyncs = [] }: ScriptOptions,
): Promise<Script> {
  const client = createClient(recorder);
  const dice = createRandom(seed);
  if (faults > 0) recorder.setFaults(faults, seed);
  let placed = 0;
  /** Has the next sync fail as soon as the one before has failed. */
  const failNext = (): void => {
    const next = failSyncs[placed];
    if (!next || recorder.faults() < placed) return;
    recorder.failSync(next.pathEnd, next.nth);
    placed++;
  };
  failNext();
  const watching = new AbortController();
  const watched = watch(client, watching.signal, failNext);
  try {
    await plainUploads(client);
    await lengthTold(client);
    await killedUnderWay(client, () => dice.between(20, 300));
    await equalBytes(client);
    for (let round = 0; round < 3; round++) await killedAtTheEnd(client, round, dice.between(0, 25));
    for (let round = 0; round < 2; round++) await killedAtOnce(client, round, dice.between(0, 15));
    await checksums(client);
    await joins(client, () => dice.between(0, 25));
    await endings(client);
    await client.restart('SIGTERM');
    recorder.setFaults(0, 0);
    // What was interrupted is looked at once more; some stays unfinished.
    for (const story of client.stories) if (story.id !== null) await client.head(story);
    await client.list();
  } finally {
    watching.abort();
    await watched;
  }
  return { stories: client.stories, end: recorder.time() };
}

/** Somebody looks at the list all the time. @param between - called before each look. */
async function watch(client: Client, signal: AbortSignal, between: () => void): Promise<void> {
  while (!signal.aborted) {
    between();
    await client.list();
    await wait(5);
  }
}

async function upload(client: Client, name: string, size: number, seed: number, pieces: number): Promise<void> {
  const story = await client.create(name, size, seed, { md5: md5Of({ size, seed }) });
  for (let piece = 1; piece <= pieces; piece++) await client.send(story, Math.floor((size * piece) / pieces));
}

async function plainUploads(client: Client): Promise<void> {
  await Promise.all([
    upload(client, 'one.bin', 70 * KIB, 1, 1),
    upload(client, 'pieces.bin', 40 * KIB + 7, 2, 4),
    client.create('empty.txt', 0, 0),
    client.create('at-once.txt', 1000, 3, { body: true }),
    (async () => {
      const wrong = await client.create('rejected.bin', 5000, 4, { md5: md5(Buffer.from('other bytes')) });
      await client.send(wrong, 5000);
    })(),
    (async () => {
      const broken = await client.create('broken.bin', 90 * KIB, 5);
      await client.patch(broken, 0, broken.size, { breakAfter: 70 * KIB });
      await client.send(broken, broken.size);
    })(),
    (async () => {
      const slow = await client.create('slow.bin', 320 * KIB, 6);
      // Slower than the first commit is due, and with pauses that are used to sync.
      await client.send(slow, slow.size, { piece: 40 * KIB, pauseMs: 150 });
    })(),
  ]);
}

async function lengthTold(client: Client): Promise<void> {
  await Promise.all(
    ['.iso', '.bin'].map(async (extension, index) => {
      const story = await client.create(`deferred${extension}`, 180 * KIB, 10 + index, { defer: true });
      await client.send(story, 20 * KIB);
      await client.send(story, 60 * KIB);
      await client.send(story, story.size, { declares: true });
    }),
  );
}

async function killedUnderWay(client: Client, afterMs: () => number): Promise<void> {
  const stories = await Promise.all([
    client.create('killed-1.bin', 100 * KIB, 20),
    client.create('killed-2.bin', 100 * KIB, 21),
    client.create('killed-deferred.bin', 100 * KIB, 22, { defer: true }),
    client.create('killed-later.bin', 100 * KIB, 23),
  ]);
  const [first, second, third, fourth] = stories as [Story, Story, Story, Story];
  await client.send(second, 20 * KIB);
  await client.send(third, 25 * KIB);
  const killed = stories.map((story) =>
    client.patch(
      story,
      story === first || story === fourth ? 0 : story === second ? 20 * KIB : 25 * KIB,
      story.size - 1000,
      { piece: 8 * KIB, pauseMs: 20 },
    ),
  );
  await wait(afterMs());
  await client.restart();
  await Promise.all(killed);
  // Before its first commit: from then on it is one like any other.
  await client.send(first, 75 * KIB);
  await client.send(second, second.size);
  await client.send(third, 60 * KIB);
  await client.restart();
  await client.send(fourth, 30 * KIB);
  await client.send(third, third.size, { declares: true });
}

async function equalBytes(client: Client): Promise<void> {
  await Promise.all([
    upload(client, 'same-a.bin', 50 * KIB, 30, 1),
    upload(client, 'same-b.txt', 50 * KIB, 30, 2),
    upload(client, 'one-again.bin', 70 * KIB, 1, 2),
    upload(client, 'one-again.dat', 70 * KIB, 1, 1),
  ]);
  const one = client.stories.find(({ name }) => name === 'one.bin');
  if (one) await client.instant('instant.bin', one);
}

/** The service dies around the moment at which an upload is published. */
async function killedAtTheEnd(client: Client, round: number, afterMs: number): Promise<void> {
  const stories = [
    await client.create(`last-${round}.bin`, 30 * KIB, 40 + round),
    await client.create(`last-deferred-${round}.bin`, 35 * KIB, 50 + round, { defer: true }),
  ];
  for (const story of stories) await client.send(story, 20 * KIB);
  const last = stories.map((story, index) => client.patch(story, 20 * KIB, story.size, { declares: index === 1 }));
  await wait(afterMs);
  await client.restart();
  await Promise.all(last);
  for (const [index, story] of stories.entries()) await client.send(story, story.size, { declares: index === 1 });
}

/** Small files whose bytes come at once: the service dies meanwhile, and they are sent again. */
async function killedAtOnce(client: Client, round: number, afterMs: number): Promise<void> {
  const begun = await client.create(`begun-${round}.bin`, 9 * KIB, 60 + round);
  const sent = [
    client.create(`whole-${round}.txt`, 12 * KIB, 65 + round, { body: true }),
    client.create(`whole-small-${round}.bin`, 700, 70 + round, { body: true }),
    client.patch(begun, 0, begun.size),
  ];
  await wait(afterMs);
  await client.restart();
  await Promise.all(sent);
  await client.send(begun, begun.size);
}

/** Requests with a checksum: one that is right, one that is wrong, one that breaks off, and one that is killed. */
async function checksums(client: Client): Promise<void> {
  const stories = await Promise.all([
    client.create('verified.bin', 160 * KIB, 80),
    client.create('verified-deferred.bin', 160 * KIB, 81, { defer: true }),
  ]);
  for (const story of stories) story.wholes = [0, 40 * KIB, 100 * KIB, story.size];
  const tell = async (story: Story): Promise<void> => {
    await client.patch(story, 0, 40 * KIB, { checksum: 'wrong' });
    await client.send(story, 40 * KIB, { checksum: 'right' });
    // Slower than the first commit of a request without a checksum is due.
    const slow = { piece: 6 * KIB, pauseMs: 150 };
    await client.patch(story, 40 * KIB, 100 * KIB, { checksum: 'wrong', ...slow });
    await client.patch(story, 40 * KIB, 100 * KIB, { checksum: 'right', breakAfter: 55 * KIB, ...slow });
    await client.send(story, 100 * KIB, { checksum: 'right' });
  };
  await Promise.all(stories.map(tell));
  const last = stories.map((story) =>
    client.patch(story, 100 * KIB, story.size, { checksum: 'right', piece: 20 * KIB, pauseMs: 10 }),
  );
  await wait(25);
  await client.restart();
  await Promise.all(last);
  for (const [index, story] of stories.entries())
    await client.send(story, story.size, { checksum: 'right', declares: index === 1 });
}

/** Partials and finals: announced early and late, one whose service dies, and one whose partial is ended. */
async function joins(client: Client, afterMs: () => number): Promise<void> {
  const partial = (name: string, size: number, seed: number): Promise<Story> =>
    client.create(name, size, seed, { kind: 'partial' });
  const [first, second] = await Promise.all([
    partial('partial-1', 60 * KIB, 90),
    partial('partial-2', 45 * KIB + 1, 91),
  ]);
  await client.send(first, first.size);
  const early = await client.join('joined-early.bin', [first, second, first]);
  await client.send(second, 20 * KIB);
  await client.send(second, second.size);
  await client.untilJoined(early);
  await client.untilJoined(await client.join('joined-late.bin', [first, second]));
  await client.untilJoined(await client.join('joined-other.bin', [second, first]));

  const [third, fourth] = await Promise.all([partial('partial-3', 200 * KIB, 92), partial('partial-4', 300 * KIB, 93)]);
  await Promise.all([third, fourth].map((story) => client.send(story, story.size)));
  const killed = client.join('joined-killed.bin', [third, fourth, third, fourth], { once: true });
  await wait(afterMs());
  await client.restart();
  await client.untilJoined(await killed);

  const ended = await partial('partial-ended', 50 * KIB, 94);
  await client.send(ended, 30 * KIB);
  const waiting = await client.join('joined-never.bin', [fourth, ended]);
  await client.remove(ended, 'upload', [waiting]);
  const left = await partial('partial-left', 30 * KIB, 95);
  await client.send(left, 10 * KIB);
  await client.join('joined-left.bin', [left, second]);
}

async function endings(client: Client): Promise<void> {
  const named = (name: string) =>
    client.stories.find((story) => story.name === name && story.events.some(({ what }) => what === 'complete'));
  const [renamed, deleted, byUpload] = [named('pieces.bin'), named('broken.bin'), named('slow.bin')];
  if (renamed) await client.rename(renamed, 'renamed.txt');
  const unfinished = await client.create('terminated.bin', 90 * KIB, 60);
  await client.send(unfinished, 50 * KIB);
  await Promise.all([
    client.remove(unfinished, 'upload'),
    deleted && client.remove(deleted, 'file'),
    byUpload && client.remove(byUpload, 'upload'),
  ]);
  // The bytes of a content that was deleted come again.
  await upload(client, 'broken-again.bin', 90 * KIB, 5, 2);
  const left = await client.create('left.bin', 700 * KIB, 61);
  await client.send(left, 600 * KIB, { piece: 300 * KIB, pauseMs: 60 });
  const whole = await client.create('left-deferred.bin', 100 * KIB, 62, { defer: true });
  await client.send(whole, 90 * KIB);
}
