/** Faults that a test orders: which call fails or waits, and whether it takes effect before. */
import { type Store, StoreError, type StoreErrorCode } from '../store.ts';

/** Steps on a disk that can be made to fail. */
export type DiskStep = 'write' | 'read' | 'remove' | 'sync' | 'list';
/** Calls of the store's contract that can be made to fail. */
export type StoreCall = Exclude<keyof Store, 'name' | 'capabilities' | 'place' | 'keyFor' | 'close'>;

export interface Fault {
  /** A call of the store, or a step that it takes on the disk. */
  call: StoreCall | DiskStep;
  /** Counts only calls whose upload, key or name contains this. */
  about?: string;
  /** Which of these calls, counted from now on; by default 1, the next one. */
  nth?: number;
  /** `before`, the default: the call has no effect. `after`: it takes effect, and its answer is lost. */
  at?: 'before' | 'after';
  /** What the call waits for. Without `error`, it then continues. */
  until?: Promise<unknown>;
  /** The error with which the call fails. */
  error?: StoreErrorCode | Error;
  /** For a write that fails: how many of its first bytes reach the disk. */
  takesBytes?: number;
}

/** A fault that was ordered. */
export interface Order {
  /** Resolves when the fault has met its call, which then waits for `until`, or fails. */
  readonly reached: Promise<void>;
  readonly hasFired: boolean;
  cancel(): void;
}

/** The faults of one store. */
export interface Faults {
  order(fault: Fault): Order;
  /** Runs a call, with the fault that was ordered for it, if any. @param partly - writes only the first bytes. */
  run<T>(call: Fault['call'], about: string, action: () => Promise<T>, partly?: (bytes: number) => void): Promise<T>;
}

interface Open {
  fault: Fault;
  left: number;
  reach: () => void;
}

/** Creates faults, with none ordered yet. Each fault happens once; where several mean the same call, the oldest happens. */
export function createFaults(): Faults {
  const open = new Set<Open>();

  /** Counts the call for every fault that it matches. @returns the fault that happens to it. */
  function take(call: Fault['call'], about: string): Open | undefined {
    let taken: Open | undefined;
    for (const each of open) {
      if (each.fault.call !== call || !about.includes(each.fault.about ?? '')) continue;
      each.left--;
      if (each.left <= 0) taken ??= each;
    }
    if (taken) open.delete(taken);
    return taken;
  }

  return {
    order: (fault) => {
      let reach: () => void = () => undefined;
      const reached = new Promise<void>((resolve) => (reach = resolve));
      const opened: Open = { fault, left: fault.nth ?? 1, reach };
      let wasCancelled = false;
      open.add(opened);
      return {
        reached,
        get hasFired() {
          return !wasCancelled && !open.has(opened);
        },
        cancel: () => {
          wasCancelled = open.delete(opened) || wasCancelled;
        },
      };
    },

    run: async (call, about, action, partly) => {
      const taken = take(call, about);
      if (!taken) return action();
      const { fault, reach } = taken;
      const result = fault.at === 'after' ? await action() : undefined;
      if (fault.takesBytes !== undefined) partly?.(fault.takesBytes);
      reach();
      await fault.until;
      if (fault.error !== undefined) throw toError(fault.error, call, about);
      return fault.at === 'after' ? (result as Awaited<ReturnType<typeof action>>) : action();
    },
  };
}

function toError(error: StoreErrorCode | Error, call: string, about: string): Error {
  return error instanceof Error ? error : new StoreError(error, `${call} ${about}: ordered to fail`);
}
