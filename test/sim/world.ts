/** One simulated world: its time, its chance, its nodes, and what they share. */
import { createMemoryDisk, type MemoryDisk } from '../../stores/memory/disk.ts';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { NO_QUOTA } from '../../server/catalog/quotas.ts';
import type { Limits } from '../../server/uploads/parts.ts';
import { openSimCatalog, type SimCatalog } from './catalog.ts';
import { type Chance, createChance } from './chance.ts';
import { type Checks, createChecks } from './checks.ts';
import { makeContents } from './contents.ts';
import { createModel, type Model } from './model.ts';
import { createNetwork, type Network } from './network.ts';
import { createActor, type SimNode } from './node.ts';
import { createProcesses, type Processes } from './processes.ts';
import { type Actor, createScheduler, type Scheduler } from './scheduler.ts';
import { timeOf } from './surroundings.ts';
import { makeWeather, type Weather } from './weather.ts';
import { createWire, type Wire } from './wire.ts';

export const DAY_MS = 24 * 3_600_000;
export const UPLOAD_TTL_MS = 2 * DAY_MS;

export interface World extends Processes {
  readonly chance: Chance;
  readonly weather: Weather;
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly wire: Wire;
  readonly model: Model;
  readonly checks: Checks;
  readonly catalog: SimCatalog;
  readonly disk: MemoryDisk;
  readonly contents: readonly Buffer[];
  /** Nothing goes wrong any more. */
  isCalm: boolean;
  /** Nodes are quick and hear of everything that they do, and each lives until it is killed. */
  readonly isUndisturbed: boolean;
  /**
   * A HEAD tells all that has come. Not so where it came to another node that has no lease yet, or to one that was killed
   * and counts as alive for a while: what they leave is found by the next writer.
   */
  readonly knowsAll: boolean;
  /** A node to send a request to. */
  anyNode(): SimNode;
  /** Whose timers are those of the world itself. */
  readonly watchman: Actor;
  fail(problem: string): void;
  /** A node has just sent what moves an upload. */
  onCrucial(node: SimNode): void;
}

export interface WorldOptions {
  /** Told each line of what happens. */
  tell: ((line: string) => void) | undefined;
  /** Told of each promise that is broken. */
  fail: (problem: string) => void;
  /** The catalog as it is, or with a fault planted. */
  tamper: (catalog: Catalog) => Catalog;
}

export function createWorld(seed: number, { tell, fail, tamper }: WorldOptions): World {
  const chance = createChance(seed);
  const weather = makeWeather(chance);
  const scheduler = createScheduler({ chance, paceMs: weather.paceMs, tell });
  const catalog = openSimCatalog(timeOf(scheduler));
  const disk = createMemoryDisk();
  const model = createModel();
  const wire = createWire(scheduler, chance);
  const network = createNetwork(scheduler, chance);
  const limits: Limits = {
    maxFileSizeBytes: null,
    uploadTtlMs: UPLOAD_TTL_MS,
    trashTtlMs: 0,
    lockTimeoutMs: chance.pick([3_000, 10_000, 20_000]),
    maxOpenUploads: 100,
    quotaOf: () => NO_QUOTA,
    instant: chance.pick(['owner', 'all'] as const),
    digests: weather.digests,
    addressLifeMs: null,
  };
  tell?.(`seed ${seed}: ${JSON.stringify(weather)}`);

  function failHere(problem: string): void {
    scheduler.note(`BROKEN: ${problem}`);
    fail(problem);
  }

  const checks = createChecks({
    catalog,
    disk,
    model,
    nowMs: () => scheduler.nowMs,
    uploadTtlMs: UPLOAD_TTL_MS,
    fail: failHere,
  });
  network.onUnexpected = (label, error) =>
    failHere(`${label}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);

  const onCrucial: World['onCrucial'] = () => undefined;
  const shared = { chance, weather, scheduler, network, wire, model, checks, catalog, disk, fail: failHere, onCrucial };
  const reached = tamper(weather.place === 'bucket' ? catalog.shared : catalog.alone);
  const processes = createProcesses(shared, { seed, limits, catalog: reached });
  return Object.assign(shared, processes, {
    contents: makeContents(chance),
    watchman: createActor('world'),
    isCalm: false,
    isUndisturbed: !weather.freezes && weather.paceMs < 100 && weather.failing + weather.unanswered === 0,
    knowsAll: weather.place === 'folder' || (weather.nodes === 1 && !weather.kills),
    anyNode: () => chance.pick(processes.nodes),
  });
}
