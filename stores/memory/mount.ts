/** A disk in memory, as one simulated process sees it: its steps can be made to fail, until the process dies. */
import { setMaxListeners } from 'node:events';
import type { DiskStep, Faults } from './faults.ts';
import type { Entry, Platter } from './platter.ts';

/**
 * The disk as one process sees it. After the process has died, its calls have no effect and no answer: their promises stay
 * pending. Each of the methods that return a promise is a step that can be made to fail.
 */
export interface Mount {
  /** The id of the machine's boot. */
  readonly bootId: string;
  /** Aborted when the process has died. */
  readonly died: AbortSignal;
  /** Returns a number that no other process gets. */
  nextNumber: () => number;
  write(name: string, entry: Entry): Promise<void>;
  /** Writes where there is no entry yet; otherwise returns the existing one. */
  writeNew(name: string, entry: Entry): Promise<Entry | undefined>;
  read(name: string): Promise<Entry | undefined>;
  remove(name: string): Promise<void>;
  /** Once this has resolved, a power cut leaves these names as they are now: with their entries, or without. */
  sync(names: readonly string[]): Promise<void>;
  list(prefix: string): Promise<string[]>;
  /** Kills the process. What it wrote stays, synced or not. */
  die(): void;
}

/** The pending answer to a dead process. */
const NEVER = new Promise<never>(() => undefined);

/** What all processes that use a disk share. */
export interface Machine {
  readonly platter: Platter;
  readonly bootId: string;
  nextNumber: () => number;
}

/** Mounts the disk for one process. @param onDeath - called when the process dies, before the listeners of `died`. */
export function createMount({ platter, bootId, nextNumber }: Machine, faults: Faults, onDeath: () => void): Mount {
  const death = new AbortController();
  const { signal: died } = death;
  // Every running write listens to it.
  setMaxListeners(0, died);

  /** Runs a step. Checks twice: the process may die before the step, or between the step and its answer. */
  async function step<T>(call: DiskStep, name: string, action: () => T, partly?: (bytes: number) => void): Promise<T> {
    const done = await faults
      .run(call, name, async () => (died.aborted ? NEVER : action()), died.aborted ? undefined : partly)
      .catch((error: unknown) => (died.aborted ? NEVER : Promise.reject(error)));
    return died.aborted ? NEVER : done;
  }

  return {
    bootId,
    died,
    nextNumber,
    write: (name, entry) =>
      step(
        'write',
        name,
        () => platter.put(name, entry),
        (bytes) => platter.put(name, firstBytes(entry, bytes)),
      ),
    writeNew: (name, entry) =>
      step('write', name, () => {
        const there = platter.get(name);
        if (!there) platter.put(name, entry);
        return there;
      }),
    read: (name) => step('read', name, () => platter.get(name)),
    remove: (name) => step('remove', name, () => platter.remove(name)),
    sync: (names) => step('sync', names.join(' '), () => names.forEach((name) => platter.sync(name))),
    list: (prefix) => step('list', prefix, () => platter.names().filter((name) => name.startsWith(prefix))),
    die: () => {
      onDeath();
      death.abort(new Error('the process has died'));
    },
  };
}

function firstBytes(entry: Entry, bytes: number): Entry {
  const part = Buffer.concat(entry.chunks).subarray(0, bytes);
  return { ...entry, chunks: [part], size: part.length };
}
