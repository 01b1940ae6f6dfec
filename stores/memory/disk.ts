/**
 * A disk in memory. It knows what is on it and what of that survives a power cut, and it outlives the processes that
 * have it mounted. An entry never changes: it is written, replaced or removed as a whole.
 */
import { setMaxListeners } from 'node:events';
import type { DiskStep, Faults } from './faults.ts';

export interface Entry {
  readonly chunks: readonly Uint8Array[];
  readonly size: number;
  /** Of a piece of an upload: its first byte's place in the upload. */
  readonly start: number;
  /** Of a piece of an upload: the piece before it; null for the first. */
  readonly after: string | null;
  readonly writtenAtMs: number;
}

export interface MemoryDisk {
  /** A process begins to use the disk. */
  mount(faults: Faults): Mount;
  /**
   * The power fails and returns: every process that has the disk mounted dies, and what was not synced is gone.
   *
   * @param survives - whether a change that was not synced is there all the same: a real disk may have written it.
   */
  crash(survives?: (name: string) => boolean): void;
  /** Changes bytes behind the stores' backs, or takes them away with null. False where there are none. */
  damage(name: string, change: (bytes: Buffer) => Buffer | null): boolean;
  /** What is on it now. */
  names(): string[];
  /** What is under a name, and whether a power cut leaves it as it is. */
  look(name: string): { entry: Entry; isDurable: boolean } | undefined;
  /** Grows with each change. */
  readonly changes: number;
  /** Which start of the machine this is. */
  readonly bootId: string;
}

/**
 * The disk as one process sees it. Calls of a process that has died have no effect and no answer: their promises
 * stay pending. The other calls are steps that can be ordered to fail.
 */
export interface Mount {
  /** Which start of the machine this is. */
  readonly bootId: string;
  /** Aborted when the process has died. */
  readonly died: AbortSignal;
  /** A number that no other process gets. */
  nextNumber(): number;
  write(name: string, entry: Entry): Promise<void>;
  /** Writes where there is nothing yet; else returns what is there. */
  writeNew(name: string, entry: Entry): Promise<Entry | undefined>;
  read(name: string): Promise<Entry | undefined>;
  remove(name: string): Promise<void>;
  /** Once resolved, these names are after a power cut what they were now: there with these bytes, or gone. */
  sync(names: readonly string[]): Promise<void>;
  list(prefix: string): Promise<string[]>;
  /** The process is killed. What it wrote stays as it is, synced or not. */
  die(): void;
}

/** What a dead process waits for. */
const NEVER = new Promise<never>(() => undefined);

/** An empty disk. */
export function createMemoryDisk(): MemoryDisk {
  let live = new Map<string, Entry>();
  const durable = new Map<string, Entry>();
  const mounts = new Set<Mount>();
  let boots = 1;
  let lastNumber = 0;
  let changes = 0;

  function makeDurable(name: string): void {
    const entry = live.get(name);
    if (entry) durable.set(name, entry);
    else durable.delete(name);
    changes++;
  }

  function put(name: string, entry: Entry): void {
    live.set(name, entry);
    changes++;
  }

  function take(name: string): void {
    live.delete(name);
    changes++;
  }

  function mount(faults: Faults): Mount {
    const death = new AbortController();
    const { signal: died } = death;
    // Every write under way listens to it.
    setMaxListeners(0, died);

    /** Looks twice: the process may die before the step, or between the step and its answer. */
    async function step<T>(
      call: DiskStep,
      name: string,
      action: () => T,
      partly?: (bytes: number) => void,
    ): Promise<T> {
      const done = await faults
        .run(call, name, async () => (died.aborted ? NEVER : action()), died.aborted ? undefined : partly)
        .catch((error: unknown) => (died.aborted ? NEVER : Promise.reject(error)));
      return died.aborted ? NEVER : done;
    }

    const mounted: Mount = {
      bootId: `boot-${boots}`,
      died,
      nextNumber: () => ++lastNumber,
      write: (name, entry) =>
        step(
          'write',
          name,
          () => put(name, entry),
          (bytes) => put(name, firstBytes(entry, bytes)),
        ),
      writeNew: (name, entry) =>
        step('write', name, () => {
          const there = live.get(name);
          if (!there) put(name, entry);
          return there;
        }),
      read: (name) => step('read', name, () => live.get(name)),
      remove: (name) => step('remove', name, () => take(name)),
      sync: (names) => step('sync', names.join(' '), () => names.forEach(makeDurable)),
      list: (prefix) => step('list', prefix, () => [...live.keys()].filter((name) => name.startsWith(prefix))),
      die: () => {
        mounts.delete(mounted);
        death.abort(new Error('the process has died'));
      },
    };
    mounts.add(mounted);
    return mounted;
  }

  return {
    mount,
    crash: (survives = () => false) => {
      for (const mounted of mounts) mounted.die();
      const changed = [...new Set([...live.keys(), ...durable.keys()])].filter(
        (name) => live.get(name) !== durable.get(name),
      );
      for (const name of changed) if (survives(name)) makeDurable(name);
      live = new Map(durable);
      changes++;
      boots++;
    },
    damage: (name, change) => {
      const entry = live.get(name);
      if (!entry) return false;
      const bytes = change(Buffer.concat(entry.chunks));
      if (bytes) put(name, { ...entry, chunks: [bytes], size: bytes.length });
      else take(name);
      makeDurable(name);
      return true;
    },
    names: () => [...live.keys()],
    look: (name) => {
      const entry = live.get(name);
      return entry && { entry, isDurable: durable.get(name) === entry };
    },
    get changes() {
      return changes;
    },
    get bootId() {
      return `boot-${boots}`;
    },
  };
}

function firstBytes(entry: Entry, bytes: number): Entry {
  const part = Buffer.concat(entry.chunks).subarray(0, bytes);
  return { ...entry, chunks: [part], size: part.length };
}
