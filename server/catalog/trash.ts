/**
 * The trash, a part of the catalog's contract: deleted files, each as it was, until it is restored or deleted for good. Nothing
 * else of the catalog finds them; their contents stay. See docs/decisions/0069-trash.md.
 */
import type { FilePage, FileRecord, OwnerTotal, RemovedContent } from './catalog.ts';

/** What becomes of a deleted file: it comes to the trash, or is gone for good. */
export type Fate = 'trash' | 'gone';

/** A file in the trash. `name`: its path when it was deleted. */
export interface TrashedFile extends FileRecord {
  deletedAt: number;
  /** Of the folder with which it was deleted, and the path of that folder; null: it was deleted by itself. */
  deletion: { id: string; folder: string } | null;
}

export interface TrashQuery {
  owner: string;
  /** 1 to 1000. */
  limit: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

export interface TrashPage extends Pick<FilePage, 'nextCursor'> {
  files: TrashedFile[];
}

/** Which files of an owner's trash: those with these ids, 64 at most; all that were deleted with a folder; all up to a time. */
export type TrashSelection = { ids: readonly string[] } | { deletion: string } | { until: number };

/** Some files that have left the trash for good. */
export interface DeletedForGood {
  files: number;
  bytes: number;
  /** The contents of which nothing is left. */
  removed: RemovedContent[];
}

export interface TrashMethods {
  /** The latest deleted first. @throws CatalogError `invalid_cursor`. */
  listTrash(query: TrashQuery): Promise<TrashPage>;
  /** All of an owner's trash together. Costs the same however much it is. */
  trashTotalOf(owner: string): Promise<OwnerTotal>;
  /** Whether this owner has a file of this content, or had one that is in the trash. */
  ownsOrTrashed(owner: string, contentId: number): Promise<boolean>;
  /** Whether anybody has a file of this content: it may be in the trash alone. */
  hasFiles(contentId: number): Promise<boolean>;
  /**
   * Restores some files, 64 at most: each has its id again, its path and its place in links. A name that another file has by now
   * gets a number; where that file has the same content, it is the result. Each restored file is an event: `published`. To be
   * called until there are none.
   */
  restoreTrashed(owner: string, which: TrashSelection): Promise<FileRecord[]>;
  /** Deletes some files in the trash for good, 64 at most. To be called until there are none. */
  deleteTrashed(owner: string, which: TrashSelection): Promise<DeletedForGood>;
  /** Deletes files for good, of any owner, that were deleted longer ago than `forMs`: the oldest, 64 at most. */
  purgeTrash(forMs: number): Promise<DeletedForGood>;
}
