/** The processes of a world: how they start and end, and what they do to catalog and disk, looked at as it happens. */
import type { Logger } from 'pino';
import type { Catalog } from '../../server/catalog/catalog.ts';
import type { Limits } from '../../server/uploads/parts.ts';
import { createChance } from './chance.ts';
import { createProcess, type SimNode, startNode } from './node.ts';
import type { Actor } from './scheduler.ts';
import { createSimSurroundings, type WallClock } from './surroundings.ts';
import { createWakes, faultsOverWire, overWire } from './wire.ts';
import type { World } from './world.ts';

export interface Processes {
  /** One for each place of a node: the process that runs there now, or ran last. */
  readonly nodes: SimNode[];
  /** Another process takes the place of one that has ended. */
  restart(place: number): void;
  kill(node: SimNode): void;
  /** The wall clock of a place jumps. */
  jump(place: number, byMs: number): void;
  /** What killed processes had sent is not performed any more. */
  forgetGhosts(): void;
}

type Surrounding = Pick<
  World,
  | 'chance'
  | 'weather'
  | 'scheduler'
  | 'network'
  | 'wire'
  | 'model'
  | 'checks'
  | 'catalog'
  | 'disk'
  | 'fail'
  | 'onCrucial'
>;

/** Longer than anything lives. */
const BELIEVE_AFTER_MS = 7 * 24 * 3_600_000;
/** What moves an upload: the moment at which it matters whether its writer still has the lease. */
const CRUCIAL = new Set(['commitOffset', 'publish']);

export interface ProcessesOptions {
  seed: number;
  limits: Limits;
  /** As all processes reach it. */
  catalog: Catalog;
}

export function createProcesses(world: Surrounding, { seed, limits, catalog: own }: ProcessesOptions): Processes {
  const { weather, scheduler, network, wire, model, checks, catalog, disk, fail } = world;
  const isShared = weather.place === 'bucket';
  const wakes = createWakes(scheduler, world.chance, () => network.losing);
  const walls: WallClock[] = weather.aheadMs.map((aheadMs) => ({ aheadMs }));
  const nodes: SimNode[] = [];
  const ghosts: Actor[] = [];
  let processes = 0;

  function log(name: string): Logger {
    const say =
      (level: string) =>
      (about: { err?: unknown }, text: string): void => {
        const { err, ...rest } = about;
        const reason = err instanceof Error ? `: ${err.message}` : '';
        scheduler.note(`    ${name} ${level}: ${text}${reason} ${JSON.stringify(rest)}`);
        if (level === 'error') fail(`${name} reports: ${text}${reason}`);
      };
    return { info: say('info'), warn: say('warn'), error: say('error') } as unknown as Logger;
  }

  /** Promise 5: a writer that has lost its lease moves nothing. */
  async function watched<T>(method: string, args: readonly unknown[], action: () => Promise<T>): Promise<T> {
    const names = namesEpoch(method, args);
    checks.look();
    const isStale = names !== undefined && names.epoch < (model.uploads.get(names.id)?.epoch ?? 0);
    const result = await action();
    if (isStale && hasMoved(result)) {
      fail(`${method} of upload ${names.id} counts under epoch ${names.epoch}, which is over`);
    }
    if (method === 'durable' && weather.powerCuts) catalog.markDurable();
    return result;
  }

  function noteLease(method: string, args: readonly unknown[], result: unknown, epochs: Map<string, number>): void {
    const { id } = (args[0] ?? {}) as { id: string };
    if (method === 'createUpload') epochs.set(id, 1);
    if (method !== 'takeLease' || typeof result !== 'number') return;
    epochs.set(id, result);
    checks.noteLease(id, result);
  }

  function restart(place: number): void {
    const node = createProcess(`n${place + 1}.${++processes}`);
    nodes[place] = node;
    ghosts.push(node.ghost);
    const epochs = new Map<string, number>();
    const surroundings = createSimSurroundings(
      scheduler,
      node,
      createChance(seed * 1000 + processes),
      walls[place] ?? { aheadMs: 0 },
    );
    scheduler.add('starts', node, () => {
      if (!isShared) catalog.continueTime(surroundings, BELIEVE_AFTER_MS);
      void startNode(node, {
        wake: wakes(node),
        catalog: overWire(
          wire,
          node,
          own,
          async (method, args, action) => {
            const result = await watched(method, args, action);
            noteLease(method, args, result, epochs);
            return result;
          },
          (method) => {
            if (CRUCIAL.has(method)) world.onCrucial(node);
          },
        ),
        disk,
        faults: faultsOverWire(wire, node, (name) => noteWrite(name, node, epochs)),
        surroundings,
        log: log(node.name),
        limits,
        commitEveryBytes: weather.commitEveryBytes,
        keys: isShared ? 'upload' : 'digest',
      }).catch((error: unknown) => {
        scheduler.note(`${node.name} could not start: ${String(error)}`);
        kill(node);
        restart(place);
      });
    });
  }

  function noteWrite(name: string, node: SimNode, epochs: Map<string, number>): void {
    const id = name.slice(name.indexOf('/') + 1, name.lastIndexOf('.'));
    const upload = model.uploads.get(id);
    const holds = upload?.state === 'receiving' && upload.epoch === (epochs.get(id) ?? 1);
    if (!name.startsWith('final/')) {
      if (upload && !holds) upload.hasStale = true;
    } else if (!isShared || node.isGone || !holds) {
      // What a writer makes final without the lease may stay: it is never published, and no client waits for it. In a
      // folder so may the bytes of an upload that ends after a publication that failed: they have no key of their own.
      model.strays.add(name);
    }
  }

  function kill(node: SimNode): void {
    if (node.isGone) return;
    node.isGone = true;
    node.isReady = false;
    wire.kill(node);
    network.onKill(node);
    if (!isShared) catalog.forgetNodes();
    scheduler.forgetGone();
    for (const upload of model.uploads.values()) upload.activity++;
  }

  return {
    nodes,
    restart,
    kill,
    jump: (place, byMs) => {
      const wall = walls[place];
      if (wall) wall.aheadMs += byMs;
    },
    forgetGhosts: () => {
      for (const ghost of ghosts.splice(0)) ghost.isGone = true;
      scheduler.forgetGone();
    },
  };
}

/** The upload that a call to the catalog would move, and the epoch that it names. */
function namesEpoch(method: string, args: readonly unknown[]): { id: string; epoch: number } | undefined {
  const [first, second] = args;
  switch (method) {
    case 'commitOffset':
      return first as { id: string; epoch: number };
    case 'publish': {
      const { uploadId, epoch } = first as { uploadId: string; epoch: number };
      return { id: uploadId, epoch };
    }
    case 'declareLength':
    case 'withdrawLength':
    case 'expectLength':
    case 'endUpload':
      return second === null ? undefined : { id: first as string, epoch: second as number };
    default:
      return undefined;
  }
}

function hasMoved(result: unknown): boolean {
  if (typeof result !== 'object' || result === null) return result === true;
  return 'expiresAt' in result || (result as { kind?: string }).kind === 'published';
}
