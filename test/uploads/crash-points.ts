/**
 * Crash points: a story is told again and again, and each time it is the next call that goes wrong, until there is none
 * left. Whatever was told before holds afterwards, what was begun can be finished, and once it is deleted nothing is left.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { createJobs } from '../../server/jobs/jobs.ts';
import { removeLeftContents } from '../../server/jobs/removals.ts';
import { createProcessWake } from '../../server/leases/wake.ts';
import type { DigestPool } from '../../stores/digests/digests.ts';
import type { Faults } from '../../stores/memory/faults.ts';
import { type Store, UNKNOWN_MS } from '../../stores/store.ts';
import { type House, openHouse } from './support.ts';

/** More calls than any story makes. */
const MOST_CALLS = 500;

/** What happens at the call, and what follows. */
export interface Crash {
  name: string;
  /** `after`: the call has taken effect, and its answer is lost. */
  at: 'before' | 'after';
  follows: 'fail' | 'die' | 'lose power';
}

export const CRASHES: Crash[] = [
  { name: 'fails', at: 'before', follows: 'fail' },
  { name: 'loses its answer', at: 'after', follows: 'fail' },
  { name: 'is the last before the process dies', at: 'after', follows: 'die' },
  { name: 'is never made, as the process dies', at: 'before', follows: 'die' },
  { name: 'is the last before the power goes', at: 'after', follows: 'lose power' },
  { name: 'is never made, as the power goes', at: 'before', follows: 'lose power' },
];

/** The call that goes wrong. */
export interface Point {
  /** For a store that asks before each of its calls. */
  readonly faults: Faults;
  /** The call that it was, once it has come. */
  readonly fired: string | undefined;
  /** Resolves when the process has died. */
  readonly died: Promise<'died'>;
  /** No call is counted from now on. */
  end(): void;
  /** The catalog as the process reaches it. */
  over(catalog: Catalog): Catalog;
}

/** What outlives the service. */
export interface Ground<P extends Point = Point> {
  catalog: Catalog;
  /** Empties the catalog before a story is told again, where that is cheap: what is over is looked at by each round of the jobs. */
  renew?: () => void;
  digests: DigestPool;
  createPoint(nth: number, crash: Crash): Promise<P>;
  /**
   * @param point - of the process that crashes; without it nothing goes wrong.
   * @param aheadMs - of the clock by which bytes are old.
   */
  openStore(point?: P, aheadMs?: number): Promise<Store>;
  /** The power goes and returns; where that can be done in this process. */
  cutPower?: () => void;
  /** Where a process dies before the answer comes, no row names what was stored: it is removed once it is old. */
  leavesUnnoted?: true;
  /** Keys of final bytes, of contents or not. Those that the store lists unless told. */
  listContents?(): string[];
}

/** What a client does in one process, and what it holds the next one to. */
export interface Tale {
  /** A deletion has begun: what comes before it is durable. */
  readonly isDeleting: boolean;
  /** All that the client does. Notes what it is told. */
  tell(house: House): Promise<void>;
  /** What was told holds; what was begun is led to its end, and deleted. */
  finish(house: House): Promise<void>;
}

/** One round of each job, and what comes before them at a start. */
async function runEachJobOnce(
  { parts, writers, recovery, finals }: House,
  { isStart }: { isStart: boolean },
): Promise<void> {
  const jobParts = { ...parts, writers, recovery, finals };
  if (isStart) await removeLeftContents(jobParts);
  for (const job of createJobs(jobParts)) await job.round();
}

async function everything(items: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** @returns the call at which it crashed; undefined when the story has fewer. */
async function crashAt<P extends Point>(
  nth: number,
  crash: Crash,
  ground: Ground<P>,
  tale: Tale,
): Promise<string | undefined> {
  ground.renew?.();
  const point = await ground.createPoint(nth, crash);
  const { digests } = ground;
  const catalog = point.over(ground.catalog);
  const crashing = await openHouse(
    {},
    {},
    { store: await ground.openStore(point), shared: { catalog, digests, wake: createProcessWake() } },
  );
  const telling = tale.tell(crashing).catch((error: unknown) => {
    // The fault may fail the story, and may not make it see what is wrong.
    if (point.fired === undefined || isFailedExpectation(error)) throw error;
  });
  await Promise.race([telling, point.died]);
  point.end();
  if (point.fired === undefined) return undefined;
  if (crash.follows === 'lose power') {
    // What was under way in the catalog has ended.
    await turn();
    ground.cutPower?.();
  }
  // As a start finds it: no other process has the catalog open.
  if (crash.follows !== 'fail') await ground.catalog.leaveNode(crashing.parts.leases.node);
  const after = crash.follows === 'fail' ? crashing : await reopen(ground);
  // Made final before the cut took their row: a service that finds such bytes tells of them, and leaves them alone.
  const strays = crash.follows === 'lose power' && !tale.isDeleting ? await straysOf(ground, after) : [];
  if (after !== crashing) await runEachJobOnce(after, { isStart: true });
  await tale.finish(after).catch((error: unknown) => {
    throw new Error(`after ${point.fired}: ${String(error)}`, { cause: error });
  });
  await runEachJobOnce(after, { isStart: false });
  for (const key of strays) await after.parts.store.removeContent(key);
  expect(await contentsOf(ground, after)).toEqual([]);
  expect(await after.parts.catalog.listRemovals(0, 10)).toEqual([]);
  if ((await everything(after.parts.store.listUnfinished())).length === 0) return point.fired;
  // A removal that failed, or that the power cut undid, of an upload that nobody knows any more: it goes when it is old.
  const isClean = crash.follows === 'die' && !ground.leavesUnnoted;
  const last = isClean ? after : await reopen(ground, UNKNOWN_MS + 1000);
  await runEachJobOnce(last, { isStart: true });
  expect(await everything(last.parts.store.listUnfinished())).toEqual([]);
  return point.fired;
}

async function contentsOf(ground: Pick<Ground, 'listContents'>, { parts }: House): Promise<string[]> {
  return ground.listContents?.() ?? everything(parts.store.listContents());
}

async function straysOf(ground: Pick<Ground, 'listContents'>, house: House): Promise<string[]> {
  const keys = await contentsOf(ground, house);
  const known = await house.parts.catalog.filterKeys(keys);
  return keys.filter((key) => !known.has(key));
}

function isFailedExpectation(error: unknown): boolean {
  return error instanceof Error && error.name === 'AssertionError';
}

/** The service after a restart: nothing fails any more. */
async function reopen(ground: Pick<Ground, 'catalog' | 'digests' | 'openStore'>, aheadMs?: number): Promise<House> {
  return openHouse(
    {},
    {},
    { store: await ground.openStore(undefined, aheadMs), shared: { ...ground, wake: createProcessWake() } },
  );
}

/** Tells the story with the first call that goes wrong, the second, and so on. @returns these calls. */
export async function crashEverywhere<P extends Point>(
  crash: Crash,
  ground: Ground<P>,
  newTale: () => Tale,
): Promise<string[]> {
  const calls: string[] = [];
  for (let nth = 1; nth < MOST_CALLS; nth++) {
    const fired = await crashAt(nth, crash, ground, newTale()).catch((error: unknown) => {
      throw new Error(`call ${nth}, after ${calls.slice(-3).join(', ')}: ${String(error)}`, { cause: error });
    });
    if (fired === undefined) return calls;
    calls.push(fired);
  }
  throw new Error(`more than ${MOST_CALLS} calls`);
}
