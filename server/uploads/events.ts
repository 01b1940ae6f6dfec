/** What happens to files, told to whoever listens: an owner's page shows the uploads of others as they end. */
import { randomUUID } from 'node:crypto';
import type { FileRecord } from '../catalog/catalog.ts';

export type FileEventKind = 'published' | 'renamed' | 'deleted';

export interface FileEvent {
  /** `<run of the service>-<number>`; numbers grow by one. */
  id: string;
  kind: FileEventKind;
  file: FileRecord;
}

export interface FileEvents {
  /** Tells everyone who listens for the file's owner. Never waits, never throws. */
  tell(kind: FileEventKind, file: FileRecord): void;
  /**
   * Listens until the returned function is called.
   *
   * @param after - the id of the last event that the listener knows of.
   * @returns the owner's events after it; null when they are not all remembered: look at the catalog anew.
   */
  listen(
    owner: string,
    after: string | undefined,
    hear: (event: FileEvent) => void,
  ): { missed: FileEvent[] | null; latestId: string; stop: () => void };
}

/** Events that are remembered for listeners whose connection broke. */
const REMEMBERED = 1_000;

/** The events of this process: those of other nodes are not among them. */
export function createFileEvents(): FileEvents {
  const run = randomUUID().slice(0, 8);
  const remembered: FileEvent[] = [];
  const listeners = new Map<string, Set<(event: FileEvent) => void>>();
  let latest = 0;

  function tell(kind: FileEventKind, file: FileRecord): void {
    latest++;
    const event = { id: `${run}-${latest}`, kind, file };
    remembered.push(event);
    if (remembered.length > REMEMBERED) remembered.shift();
    for (const hear of listeners.get(file.owner) ?? []) hear(event);
  }

  function since(owner: string, after: string): FileEvent[] | null {
    const [otherRun, number] = after.split('-');
    const known = Number(number);
    if (otherRun !== run || !Number.isInteger(known) || known > latest) return null;
    if (latest - known > remembered.length) return null;
    const events = known === latest ? [] : remembered.slice(known - latest);
    return events.filter((event) => event.file.owner === owner);
  }

  return {
    tell,
    listen: (owner, after, hear) => {
      const ofOwner = listeners.get(owner) ?? new Set();
      listeners.set(owner, ofOwner);
      ofOwner.add(hear);
      return {
        missed: after === undefined ? null : since(owner, after),
        latestId: `${run}-${latest}`,
        stop: () => {
          ofOwner.delete(hear);
          if (ofOwner.size === 0 && listeners.get(owner) === ofOwner) listeners.delete(owner);
        },
      };
    },
  };
}
