/** A disk in memory: it outlives the processes that have it mounted, and its power can be cut. */
import type { Faults } from './faults.ts';
import { createMount, type Mount } from './mount.ts';
import { type Entry, Platter } from './platter.ts';

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

/** An empty disk. */
export function createMemoryDisk(): MemoryDisk {
  const platter = new Platter();
  const mounts = new Set<Mount>();
  let boots = 1;
  let lastNumber = 0;

  return {
    mount: (faults) => {
      const machine = { platter, bootId: `boot-${boots}`, nextNumber: () => ++lastNumber };
      const mounted = createMount(machine, faults, () => mounts.delete(mounted));
      mounts.add(mounted);
      return mounted;
    },
    crash: (survives = () => false) => {
      for (const mounted of mounts) mounted.die();
      platter.cutPower(survives);
      boots++;
    },
    damage: (name, change) => {
      const entry = platter.get(name);
      if (!entry) return false;
      const bytes = change(Buffer.concat(entry.chunks));
      if (bytes) platter.put(name, { ...entry, chunks: [bytes], size: bytes.length });
      else platter.remove(name);
      platter.sync(name);
      return true;
    },
    names: () => platter.names(),
    look: (name) => {
      const entry = platter.get(name);
      return entry && { entry, isDurable: platter.isDurable(name) };
    },
    get changes() {
      return platter.changes;
    },
    get bootId() {
      return `boot-${boots}`;
    },
  };
}
