/** A node of a simulation: what server/service.ts puts together below HTTP, over what all nodes share. */
import { setMaxListeners } from 'node:events';
import type { Logger } from 'pino';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { createJobs, runJobs } from '../../server/jobs/jobs.ts';
import { removeLeftContents } from '../../server/jobs/removals.ts';
import { createLeases } from '../../server/leases/create-leases.ts';
import { keepAlive } from '../../server/leases/heartbeat.ts';
import type { Wake } from '../../server/leases/wake.ts';
import type { Files, Uploads } from '../../server/uploads/contract.ts';
import { createCleaning } from '../../server/uploads/cleaning.ts';
import { createKeyedMutex } from '../../server/uploads/keyed-mutex.ts';
import { createLife } from '../../server/service-parts.ts';
import { NOTHING_LATER } from '../../server/uploads/later-digests.ts';
import type { Limits, Parts } from '../../server/uploads/parts.ts';
import type { MemoryDisk } from '../../stores/memory/disk.ts';
import type { Faults } from '../../stores/memory/faults.ts';
import { openMemoryStore } from '../../stores/memory/store.ts';
import type { Surroundings } from '../../stores/surroundings.ts';
import { createSimDigests } from './digests.ts';
import type { Actor } from './scheduler.ts';
import type { Caller } from './wire.ts';

/** One process of the service. Killed ones never come back: another process takes their place. */
export interface SimNode extends Caller {
  /** It takes requests. */
  isReady: boolean;
  uploads: Uploads;
  files: Files;
  newId(): string;
}

export interface NodeParts {
  catalog: Catalog;
  wake: Wake;
  disk: MemoryDisk;
  faults: Faults;
  surroundings: Surroundings;
  log: Logger;
  limits: Limits;
  commitEveryBytes: number;
  /** How the store names contents. */
  keys: 'upload' | 'digest';
}

export function createActor(name: string): Actor {
  return { name, isFrozen: false, isGone: false };
}

/** A process that has not started yet. */
export function createProcess(name: string): SimNode {
  const starting = (): never => {
    throw new Error('the node has not started');
  };
  return {
    ...createActor(name),
    underWay: new Set(),
    ghost: createActor(`(${name})`),
    isReady: false,
    uploads: {} as Uploads,
    files: {} as Files,
    newId: starting,
  };
}

/** Starts it: it takes requests once this resolves. */
export async function startNode(node: SimNode, given: NodeParts): Promise<void> {
  const { catalog, wake, disk, faults, surroundings, log, limits, commitEveryBytes, keys } = given;
  await catalog.keepTime();
  const now = (): number => catalog.clock.earliest();
  const store = openMemoryStore({ disk, faults, surroundings, keys, commitEveryBytes, now });
  const id = surroundings.newId();
  const about = { name: node.name, version: '', process: null, isAlone: false };
  await catalog.joinNode(id, about);
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal);
  const parts: Parts = {
    catalog,
    store,
    leases: createLeases({ catalog, node: id, wake, surroundings, log }),
    surroundings,
    secret: 'a secret of the simulation',
    digests: createSimDigests(limits.digests, true),
    log,
    limits,
    later: NOTHING_LATER,
    contentMutex: createKeyedMutex(),
    cleaning: createCleaning(),
    stopping: stopping.signal,
  };
  const { uploads, files, ...rest } = createLife(parts);
  const jobParts = { ...parts, ...rest };
  await removeLeftContents(jobParts);
  Object.assign(node, { uploads, files, newId: () => surroundings.newId(), isReady: true });
  void keepAlive({
    catalog,
    node: id,
    rejoin: async () => void (await catalog.joinNode(id, about)),
    onRefused: () => undefined,
    surroundings,
    log,
    stopping: stopping.signal,
    onBeat: async () => {
      await parts.leases.takeAsks();
      await rest.writers.noteArrivals();
    },
    onLate: () => parts.leases.loseAll(),
  });
  void runJobs(createJobs(jobParts), parts);
}
