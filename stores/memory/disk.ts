/** A disk in memory: it outlives the simulated processes that have it mounted, and its power can be cut. */
import type { Faults } from './faults.ts';
import { createMount, type Mount } from './mount.ts';
import { type Entry, Platter } from './platter.ts';

export interface MemoryDisk {
  /** Mounts the disk for a process. */
  mount(faults: Faults): Mount;
  /**
   * Cuts the power: every process that has the disk mounted dies, and changes that were not synced are lost.
   *
   * @param survives - whether a change survives that was not synced: a real disk may have written it.
   */
  crash(survives?: (name: string) => boolean): void;
  /** Changes an entry's bytes, or removes it where `change` returns null, unknown to the stores. @returns false where there is none. */
  damage(name: string, change: (bytes: Buffer) => Buffer | null): boolean;
  /** All names that have an entry now. */
  names(): string[];
  /** The entry of a name, and whether it survives a power cut as it is. */
  look(name: string): { entry: Entry; isDurable: boolean } | undefined;
  /** Grows with each change. */
  readonly changes: number;
  /** The id of the machine's current boot. */
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
