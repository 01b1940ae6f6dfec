/** A node notices by itself that it was not heard of for too long: before the database says so, or can. */
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { NODE_DEAD_AFTER_MS } from '../../server/catalog/catalog.ts';
import { openNewCatalog } from '../harness/new-catalog.ts';
import { keepAlive } from '../../server/leases/heartbeat.ts';
import { aboutNode } from '../catalog/fixtures.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createVirtualSurroundings } from '../harness/virtual-surroundings.ts';

/** A catalog that node `a` has joined, and time that only the test moves. */
async function openJoined() {
  const surroundings = createVirtualSurroundings();
  const file = `${await makeTempFolder()}/catalog.db`;
  const catalog = await openNewCatalog({ file, isShared: true, time: surroundings });
  onTestFinished(() => catalog.close());
  await catalog.joinNode('a', aboutNode());
  return { surroundings, catalog };
}

test('a node whose beats are not answered stops its writers when it counts as dead, once, and goes on', async () => {
  const { surroundings, catalog } = await openJoined();
  const stopping = new AbortController();
  const told: string[] = [];
  let answers: Promise<void> = Promise.resolve();
  let goOn: () => void = () => undefined;
  const beating = keepAlive({
    catalog: {
      isShared: true,
      // As over a connection that is half open.
      beatNode: async (id) => {
        await answers;
        return catalog.beatNode(id);
      },
    },
    node: 'a',
    rejoin: async () => {
      told.push('rejoin');
      await catalog.joinNode('a', aboutNode());
      return undefined;
    },
    onRefused: () => told.push('refused'),
    surroundings,
    log: pino({ level: 'silent' }),
    stopping: stopping.signal,
    onBeat: async () => undefined,
    onLate: () => told.push('late'),
  });
  await surroundings.advance(3 * NODE_DEAD_AFTER_MS);
  expect(told).toEqual([]);
  answers = new Promise((resolve) => (goOn = resolve));
  await surroundings.advance(NODE_DEAD_AFTER_MS - 3_000);
  expect(told).toEqual([]);
  await surroundings.advance(5_000);
  expect(told).toEqual(['late']);
  await surroundings.advance(60_000);
  expect(told).toEqual(['late']);
  goOn();
  await expect.poll(() => told).toEqual(['late', 'rejoin']);
  expect(await catalog.isNodeAlive('a')).toBe(true);
  stopping.abort();
  await beating;
});

test('a beat does not wait for what is noted beside it', async () => {
  const { surroundings, catalog } = await openJoined();
  const stopping = new AbortController();
  const told: string[] = [];
  let noted: () => void = () => undefined;
  const beating = keepAlive({
    catalog,
    node: 'a',
    rejoin: async () => undefined,
    onRefused: () => told.push('refused'),
    surroundings,
    log: pino({ level: 'silent' }),
    stopping: stopping.signal,
    // As where a row is locked.
    onBeat: () => {
      told.push('note');
      return new Promise((resolve) => (noted = resolve));
    },
    onLate: () => told.push('late'),
  });
  await surroundings.advance(3 * NODE_DEAD_AFTER_MS);
  expect(told).toEqual(['note']);
  expect(await catalog.isNodeAlive('a')).toBe(true);
  stopping.abort();
  noted();
  await beating;
});
