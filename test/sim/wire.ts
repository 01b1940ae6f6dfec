/**
 * The wire between a node and what all nodes share: catalog and disk. Each call is on its way for a while, is performed
 * at one moment, and its answer is on its way for a while. Any of these can be lost.
 */
import { type Catalog, CatalogError } from '../../server/catalog/catalog.ts';
import type { Ears, Wake } from '../../server/leases/wake.ts';
import type { Faults } from '../../stores/memory/faults.ts';
import { StoreError } from '../../stores/store.ts';
import type { Chance } from './chance.ts';
import type { Actor, Event, Scheduler } from './scheduler.ts';

/** How often what is lost, of all calls. */
export interface Losses {
  /** A call fails, and has not been performed. */
  failing: number;
  /** A call is performed, and its caller is told that it failed. */
  unanswered: number;
}

/** A process, as the wire knows it. */
export interface Caller extends Actor {
  /** Its calls that were sent and are not performed yet. */
  readonly underWay: Set<Event>;
  /** Whose events they are once they do not wait for the process any more. */
  readonly ghost: Actor;
}

export interface Call<T> {
  label: string;
  perform: () => Promise<T>;
  failure: () => Error;
  /** Of a write that fails: what it leaves. */
  partly?: ((bytes: number) => void) | undefined;
}

export interface Wire {
  losses: Losses;
  call<T>(caller: Caller, call: Call<T>): Promise<T>;
  /** It has just been frozen: some of what it has sent is performed all the same. */
  freeze(caller: Caller): void;
  /** It has just been killed: some of what it has sent is performed all the same, perhaps much later. */
  kill(caller: Caller): void;
}

/** How often the answer comes with the same step. */
const AT_ONCE = 0.5;
const MOST_PARTLY_BYTES = 60;

export function createWire(scheduler: Scheduler, chance: Chance): Wire {
  const wire: Wire = {
    losses: { failing: 0, unanswered: 0 },

    call: (caller, { label, perform, failure, partly }) =>
      new Promise((resolve, reject) => {
        if (caller.isGone) return;

        function answer(settle: () => void): void {
          if (caller.isGone) return;
          if (!caller.isFrozen && chance.happens(AT_ONCE)) settle();
          else scheduler.add(`  ${label}: answer`, caller, settle);
        }

        const event = scheduler.add(label, caller, () => {
          caller.underWay.delete(event);
          if (chance.happens(wire.losses.failing)) {
            if (partly && chance.happens(0.5)) partly(chance.below(MOST_PARTLY_BYTES));
            scheduler.note(`  ${label}: fails`);
            answer(() => reject(failure()));
            return;
          }
          const isLost = chance.happens(wire.losses.unanswered);
          if (isLost) scheduler.note(`  ${label}: its answer is lost`);
          void perform().then(
            (result) => answer(() => (isLost ? reject(failure()) : resolve(result))),
            (error: unknown) => answer(() => reject(error as Error)),
          );
        });
        caller.underWay.add(event);
      }),

    freeze: ({ underWay, ghost }) => {
      for (const event of underWay) if (chance.happens(0.5)) event.actor = ghost;
    },

    kill: ({ underWay, ghost }) => {
      for (const event of underWay) {
        if (chance.happens(0.5)) event.actor = ghost;
        else scheduler.drop(event);
      }
    },
  };
  return wire;
}

/** The catalog as a process reaches it. @param onSent - told of each call once it is on its way. */
export function overWire(
  wire: Wire,
  caller: Caller,
  catalog: Catalog,
  perform: <T>(method: string, args: readonly unknown[], action: () => Promise<T>) => Promise<T>,
  onSent: (method: string) => void,
): Catalog {
  const reached: Record<string, unknown> = { ...catalog };
  for (const [method, own] of Object.entries(catalog) as [string, (...args: unknown[]) => Promise<unknown>][]) {
    if (typeof own !== 'function') continue;
    reached[method] = (...args: unknown[]) => {
      const answer = wire.call(caller, {
        label: `catalog ${method}${aboutOf(args)}`,
        perform: () => perform(method, args, () => own(...args)),
        failure: () => new CatalogError('unavailable', `${method}: the line to the catalog broke`),
      });
      onSent(method);
      return answer;
    };
  }
  return reached as unknown as Catalog;
}

/** What a trace says of a call: ids and numbers, but no bytes. */
function aboutOf(args: readonly unknown[]): string {
  return args.map((arg) => ` ${briefly(arg)}`).join('');
}

function briefly(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const { id, uploadId, md5, epoch, offset, key } = value as Record<string, unknown>;
  const told = { id: id ?? uploadId, md5, epoch, offset, key };
  return Object.entries(told)
    .filter(([, each]) => typeof each === 'string' || typeof each === 'number')
    .map(([name, each]) => (name === 'id' || name === 'md5' ? String(each) : `${name}=${String(each)}`))
    .join(' ');
}

const DISK_STEPS = new Set<string>(['write', 'read', 'remove', 'sync', 'list']);

/** The disk as a process reaches it: each step on it is a call. */
export function faultsOverWire(wire: Wire, caller: Caller, onWrite: (name: string) => void): Faults {
  return {
    order: () => {
      throw new Error('the seed decides what fails');
    },
    run: (call, about, action, partly) => {
      // A call of the store consists of such steps.
      if (!DISK_STEPS.has(call)) return action();
      return wire.call(caller, {
        label: `disk ${call} ${about}`,
        perform: () => {
          if (call === 'write') onWrite(about);
          return action();
        },
        failure: () => new StoreError('unavailable', `${call} ${about}: the line to the store broke`),
        partly,
      });
    },
  };
}

/** Wakes between nodes, which are hints: they come late, in any order, or not at all. */
export function createWakes(scheduler: Scheduler, chance: Chance, losing: () => number): (caller: Caller) => Wake {
  const nodes = new Map<string, { caller: Caller; ears: Ears }>();

  function send(label: string, { caller, ears }: { caller: Caller; ears: Ears }, hear: (ears: Ears) => void): void {
    if (caller.isGone || chance.happens(losing())) return;
    scheduler.add(label, caller, () => hear(ears));
  }

  return (caller) => ({
    ask: (node, what, id) => {
      const other = nodes.get(node);
      if (other && !caller.isGone) send(`is asked to ${what} ${id}`, other, (ears) => ears.onAsked(what, id));
    },
    tell: (id) => {
      if (caller.isGone) return;
      for (const [, other] of nodes) send(`is told of ${id}`, other, (ears) => ears.onTold(id));
    },
    listen: (node, ears) => {
      nodes.set(node, { caller, ears });
      return () => void nodes.delete(node);
    },
  });
}
