/**
 * Joins the nodes of a catalog. A node with STORE=local has to be the only one. A process that was killed leaves its row
 * in the table of nodes: where that process is known to have ended, its successor does not wait for it.
 * See docs/decisions/0040-many-nodes.md.
 */
import type { Logger } from 'pino';
import type { Surroundings } from '../../stores/surroundings.ts';
import { type Catalog, CatalogError, type NodeAbout, type NodeRecord } from '../catalog/catalog.ts';
import type { Fate } from './process-mark.ts';

/** This process among the nodes. */
export interface Membership {
  readonly id: string;
  /** Joins again, after the node was taken for dead. @returns a CatalogError where another node prevents that now. */
  rejoin(): Promise<CatalogError | undefined>;
  /** Leaves: from now on, other nodes can take this node's leases and claims. */
  leave(): Promise<void>;
}

export interface MembershipOptions {
  catalog: Pick<Catalog, 'joinNode' | 'leaveNode' | 'listNodes' | 'isShared'>;
  about: NodeAbout;
  fateOf: (process: string | null) => Fate;
  /** The catalog, for people. */
  name: string;
  surroundings: Pick<Surroundings, 'newId' | 'wait' | 'elapsedMs'>;
  log: Pick<Logger, 'info'>;
}

const LOOK_EVERY_MS = 250;
/** How long to wait for a service that may be stopping just now. */
const PATIENCE_MS = 3_000;

/**
 * Joins. Where another node prevents it and may be dead, waits until that one counts as dead.
 *
 * @throws CatalogError `unavailable` where a living node prevents it.
 */
export async function joinNodes(options: MembershipOptions): Promise<Membership> {
  const { catalog, about, surroundings } = options;
  const id = surroundings.newId();
  let inTheWay = await tryToJoin(options, id);
  if (inTheWay.length > 0) {
    const watch = createWatch(options, inTheWay);
    do {
      watch.check(inTheWay);
      await surroundings.wait(LOOK_EVERY_MS);
      inTheWay = await tryToJoin(options, id);
    } while (inTheWay.length > 0);
  }
  return {
    id,
    rejoin: async () => {
      const others = await catalog.joinNode(id, about);
      return others.length > 0 ? refusal(options, others) : undefined;
    },
    leave: () => catalog.leaveNode(id),
  };
}

/** Tries to join. @returns the nodes that prevent it; none: the node has joined. */
async function tryToJoin(options: MembershipOptions, id: string): Promise<NodeRecord[]> {
  const { catalog, about } = options;
  const frozen = (await lookAtProcesses(options)).filter(({ isAlone }) => isAlone || about.isAlone);
  return frozen.length > 0 ? frozen : catalog.joinNode(id, about);
}

/**
 * Removes the nodes whose processes are known to have ended: their leases and claims are free at once.
 *
 * @returns the nodes whose processes run although they count as dead: a frozen process may still write to its folder.
 */
async function lookAtProcesses({ catalog, fateOf }: MembershipOptions): Promise<NodeRecord[]> {
  const frozen: NodeRecord[] = [];
  // In a catalog for one process, there are no other nodes.
  if (!catalog.isShared) return frozen;
  for (const node of await catalog.listNodes()) {
    const fate = fateOf(node.process);
    if (fate === 'ended') await catalog.leaveNode(node.id);
    if (fate === 'runs' && !node.isAlive) frozen.push(node);
  }
  return frozen;
}

/** Watches the nodes that prevent joining, until one of them is known to be alive. */
function createWatch(options: MembershipOptions, first: readonly NodeRecord[]) {
  const { surroundings, fateOf } = options;
  const beganMs = surroundings.elapsedMs();
  const seenFirst = new Map(first.map(({ id, seenAt }) => [id, seenAt]));
  let isTold = false;
  return {
    /** @throws CatalogError `unavailable`. */
    check: (now: readonly NodeRecord[]): void => {
      if (surroundings.elapsedMs() - beganMs < PATIENCE_MS) return;
      // A heartbeat since the first look, or a node that has joined since: it is alive.
      const alive = now.filter(({ id, seenAt, process }) => seenAt !== seenFirst.get(id) || fateOf(process) === 'runs');
      if (alive.length > 0) throw refusal(options, alive);
      if (isTold) return;
      isTold = true;
      const nodes = now.map(({ name }) => name);
      options.log.info({ nodes }, 'waiting until a node counts as dead that seems to have ended');
    },
  };
}

function refusal({ about, name }: MembershipOptions, others: readonly NodeRecord[]): CatalogError {
  const names = others.map((node) => node.name).join(', ');
  const why = about.isAlone
    ? 'with STORE=local a service has to be the only one on its catalog, as no other can read its folder'
    : 'that one runs with STORE=local, and has to be the only one on its catalog';
  return new CatalogError('unavailable', `the catalog ${name} is in use by another service (${names}): ${why}`);
}
