/** Keeps which contents are due for their SHA-1, which files are shown without it meanwhile, and which requests wait for it. */
import type { ContentRecord } from '../catalog/catalog.ts';
import type { NotedFile, SoughtFile } from '../uploads/later-digests.ts';

/** A recently published content, and the owner of its file. */
export interface DueContent {
  content: ContentRecord;
  owner: string;
}

/** The contents that are due, by owner. */
export interface DueDigests {
  readonly hasRecent: boolean;
  /** Whether a request waits. */
  readonly isAwaited: boolean;
  /** Whether files of some owners wait for a pass over the older contents. */
  readonly hasCrowdedOut: boolean;
  /** A file was published. If there is no room for its content, a pass over the older contents finds it. */
  note(file: NotedFile): void;
  /** A content that was published elsewhere or before a restart. If there is no room for it, nothing happens. */
  adopt(due: DueContent): void;
  /** Whether the SHA-1 of a file's content may still be missing, so that the file is shown without it. */
  readonly isPending: (file: SoughtFile) => boolean;
  /** Whether a recent content of this owner is due. */
  isDue(owner: string): boolean;
  /** Calls `resolve` once no recent content of this owner is due. @returns a function that cancels this. */
  waitFor(owner: string, resolve: () => void): () => void;
  /** The next recent content; those for which a request waits come first. */
  next(): DueContent | undefined;
  /** The content had its turn. */
  done(due: DueContent): void;
  /** A pass over all older contents begins. */
  beginPass(): void;
  /** The pass has reached the end. */
  endPass(): void;
}

/** Begins with no content due. @param mostRecent - how many contents are remembered as recent. */
export function createDueDigests(mostRecent: number): DueDigests {
  /** By owner, then by the content's id. An owner is in it only while a content is due. */
  const recent = new Map<string, Map<number, DueContent>>();
  let recentCount = 0;
  /**
   * Owners for whose files there was no room among the recent ones, and when the first of these was uploaded.
   * Files uploaded since are shown without SHA-1 until a pass over the older contents has ended: it finds all
   * contents that lack one.
   */
  const crowdedOut = new Map<string, number>();
  /** The owners whose files were all crowded out before the current pass began. */
  let lookedFor = new Set<string>();
  const waiters = new Set<{ owner: string; resolve: () => void }>();

  function add(due: DueContent): void {
    const its = recent.get(due.owner) ?? new Map<number, DueContent>();
    if (!its.has(due.content.id)) recentCount++;
    its.set(due.content.id, due);
    recent.set(due.owner, its);
  }

  /** Owners take turns, so that no owner waits for all the files of another. */
  function takeTurn(owner: string): DueContent | undefined {
    const its = recent.get(owner);
    if (!its) return undefined;
    recent.delete(owner);
    recent.set(owner, its);
    const [first] = its.values();
    return first;
  }

  return {
    get hasRecent() {
      return recentCount > 0;
    },
    get isAwaited() {
      return waiters.size > 0;
    },
    get hasCrowdedOut() {
      return crowdedOut.size > 0;
    },
    note: ({ content, owner, uploadedAt }) => {
      if (recentCount < mostRecent) add({ content, owner });
      else {
        crowdedOut.set(owner, Math.min(uploadedAt, crowdedOut.get(owner) ?? Infinity));
        lookedFor.delete(owner);
      }
    },
    adopt: (due) => {
      if (recentCount < mostRecent) add(due);
    },
    isPending: ({ content, owner, uploadedAt }) =>
      recent.get(owner)?.has(content.id) || uploadedAt >= (crowdedOut.get(owner) ?? Infinity),
    isDue: (owner) => recent.has(owner),
    waitFor: (owner, resolve) => {
      const waiter = { owner, resolve };
      waiters.add(waiter);
      return () => void waiters.delete(waiter);
    },
    next: () => {
      for (const { owner } of waiters) if (recent.has(owner)) return takeTurn(owner);
      const [owner] = recent.keys();
      return owner === undefined ? undefined : takeTurn(owner);
    },
    done: ({ content, owner: of }) => {
      const its = recent.get(of);
      if (!its?.delete(content.id)) return;
      recentCount--;
      if (its.size > 0) return;
      recent.delete(of);
      for (const { owner, resolve } of waiters) if (owner === of) resolve();
    },
    beginPass: () => {
      lookedFor = new Set(crowdedOut.keys());
    },
    endPass: () => {
      for (const owner of lookedFor) crowdedOut.delete(owner);
    },
  };
}
