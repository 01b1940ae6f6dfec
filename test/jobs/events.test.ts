import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { forgetOldEvents } from '../../server/jobs/events.ts';
import { createVirtualSurroundings } from '../harness/virtual-surroundings.ts';
import { makeBytes } from '../harness/bytes.ts';
import { openOutbox } from '../outbox/support.ts';
import { openHouse } from '../uploads/support.ts';

const DAY_MS = 24 * 3_600_000;

test('events are kept for a day, by a clock that a jump does not move; batches let others in between', async () => {
  const surroundings = createVirtualSurroundings();
  let aheadMs = 0;
  const source = { ...surroundings, wallMs: () => surroundings.wallMs() + aheadMs };
  const { catalog, publish } = await openOutbox(undefined, undefined, source);
  const forget = (stopping = new AbortController().signal): Promise<void> =>
    forgetOldEvents({ catalog, surroundings, stopping });
  const left = async (): Promise<number> =>
    (await catalog.listEvents({ owner: 'ann', after: forgotten, limit: 2000 }))?.length ?? -1;
  let forgotten = 0;

  const file = await publish('ann', '0');
  await catalog.forgetEvents(-1, 1);
  forgotten = 1;
  for (let time = 0; time < 1_200; time++) await catalog.renameFile(file.id, 'ann', `${time}`, null);
  await surroundings.advance(DAY_MS);
  await forget();
  expect(await left()).toBe(1_200);
  aheadMs = 3 * DAY_MS;
  await forget();
  expect(await left()).toBe(1_200);
  aheadMs = 0;
  await catalog.renameFile(file.id, 'ann', 'a day later', null);
  await surroundings.advance(1);
  await forget(AbortSignal.abort());
  expect(await left()).toBe(1_201);
  let turns = 0;
  await forgetOldEvents({
    catalog,
    stopping: new AbortController().signal,
    surroundings: {
      turn: () => {
        turns++;
        return surroundings.turn();
      },
    },
  });
  forgotten = 1_201;
  expect(await left()).toBe(1);
  expect(turns).toBeGreaterThan(1);
});

test('events from a moment when the wall clock was years ahead are forgotten as all others', async () => {
  const surroundings = createVirtualSurroundings();
  let aheadMs = 0;
  const source = { ...surroundings, wallMs: () => surroundings.wallMs() + aheadMs };
  const house = await openHouse({}, {}, { time: source });
  const publish = async (seed: number): Promise<void> => {
    const bytes = makeBytes(100, seed);
    const id = await house.begin(bytes);
    const { signal } = new AbortController();
    const writer = await house.uploads.open(id, 'anyone', { signal });
    await writer.append(Readable.from([bytes]), { maxBytes: bytes.length });
    await writer.release();
  };
  await publish(1);
  aheadMs = 3_650 * DAY_MS;
  await publish(2);
  aheadMs = 0;
  await publish(3);
  const { catalog } = house.parts;
  const latest = await catalog.latestEvent(null);
  await surroundings.advance(2 * DAY_MS);
  await forgetOldEvents({ catalog, surroundings, stopping: new AbortController().signal });
  // All before the last, and the last: nothing is left to be forgotten.
  expect(await catalog.listEvents({ owner: null, after: latest - 1, limit: 10 })).toBeNull();
});
