/** What happens to files, told to whoever listens: an owner's page shows the uploads of others as they end. */
import type { DigestAlgorithm } from '../../stores/digests/digests.ts';
import type { Surroundings } from '../../stores/surroundings.ts';
import type { FileRecord } from '../catalog/catalog.ts';
import type { LaterDigests } from './later-digests.ts';
import { withConfiguredDigests } from './shown.ts';

export type FileEventKind = 'published' | 'renamed' | 'deleted';

export interface FileEvent {
  /** `<run of the service>-<number>`; an owner's numbers grow by one, whatever happens to the files of others. */
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
   *   Undefined where too many listen for this owner already.
   */
  listen(
    owner: string,
    after: string | undefined,
    hear: (event: FileEvent) => void,
  ): { missed: FileEvent[] | null; latestId: string; stop: () => void } | undefined;
}

/** Events of each owner that are remembered for listeners whose connection broke. */
const REMEMBERED = 500;
/** Listeners of one owner: each event is written to all of them before anything else happens. */
const MOST_LISTENERS = 500;

/** What one owner's listeners need. There are as many as tokens have names. */
interface OfOwner {
  /** The newest last. */
  remembered: FileEvent[];
  latest: number;
  listeners: Set<(event: FileEvent) => void>;
}

/**
 * The events of this process: those of other nodes are not among them.
 *
 * @param digests - those that are computed for every file; others are not told.
 */
export function createFileEvents(
  digests: readonly DigestAlgorithm[],
  { isPending }: Pick<LaterDigests, 'isPending'>,
  { newId }: Pick<Surroundings, 'newId'>,
): FileEvents {
  const run = newId().slice(0, 8);
  const owners = new Map<string, OfOwner>();

  function of(owner: string): OfOwner {
    const known = owners.get(owner) ?? { remembered: [], latest: 0, listeners: new Set() };
    owners.set(owner, known);
    return known;
  }

  function tell(kind: FileEventKind, file: FileRecord): void {
    const { owner } = file;
    const its = of(owner);
    const event = { id: `${run}-${++its.latest}`, kind, file: withConfiguredDigests(file, digests, isPending) };
    its.remembered.push(event);
    if (its.remembered.length > REMEMBERED) its.remembered.shift();
    for (const hear of its.listeners) hear(event);
  }

  function since({ latest, remembered }: OfOwner, after: string): FileEvent[] | null {
    const [otherRun, number] = after.split('-');
    const known = Number(number);
    if (otherRun !== run || !Number.isInteger(known) || known > latest) return null;
    if (latest - known > remembered.length) return null;
    return known === latest ? [] : remembered.slice(known - latest);
  }

  return {
    tell,
    listen: (owner, after, hear) => {
      const its = of(owner);
      if (its.listeners.size >= MOST_LISTENERS) return undefined;
      its.listeners.add(hear);
      return {
        missed: after === undefined ? null : since(its, after),
        latestId: `${run}-${its.latest}`,
        stop: () => void its.listeners.delete(hear),
      };
    },
  };
}
