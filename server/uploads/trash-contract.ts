/** The trash, as the edges see it: deleted files, until they are restored or deleted for good. See docs/decisions/0069-trash.md. */
import type { OwnerTotal } from '../catalog/catalog.ts';
import type { FileView } from './contract.ts';

/** The most files of one request that names them. */
export const MOST_NAMED = 1_000;

/** A file in the trash. `name`: its path when it was deleted. */
export interface TrashedView extends FileView {
  readonly deletedAt: number;
  /** From then on it may be gone for good. */
  readonly expiresAt: number;
  /** Of the folder with which it was deleted, and the path of that folder; null: it was deleted by itself. */
  readonly deletion: { readonly id: string; readonly folder: string } | null;
}

export interface TrashViewPage {
  readonly files: readonly TrashedView[];
  /** Where the next page begins; null on the last one. */
  readonly nextCursor: string | null;
}

/** Which files of the trash: by their ids; all that were deleted with a folder, by the id of the deletion; or all, up to a time. */
export type TrashMeant =
  | { readonly ids: readonly string[] }
  | { readonly deletion: string }
  | { readonly all: true; readonly until?: number };

/** What one request has done. */
export interface Progress extends OwnerTotal {
  /** False: its time was over before it came to the end. To be asked for again. */
  readonly isComplete: boolean;
  /** Of all files: those that were deleted later are left out. To be given where it is asked for again. */
  readonly until?: number;
}

export interface Restored extends Progress {
  /** Those that were named by their ids; left out for a deletion, which may have very many. */
  readonly restored?: readonly FileView[];
}

/** An owner's trash. */
export interface Trash {
  /** How long a deleted file can be restored; 0: there is no trash. */
  readonly keptMs: number;
  /** The latest deleted first. */
  list(query: { owner: string; limit: number; cursor?: string }): Promise<TrashViewPage>;
  totalOf(owner: string): Promise<OwnerTotal>;
  /**
   * Restores files: with their ids, at their paths, and in the links that they were in. Where another file has the name, it gets a
   * number; where that file has the same bytes, it is the result. A file that was restored before is a result, too, so that the
   * request can be repeated.
   *
   * @param signal - aborted when the asker is gone: what is named by ids is still restored, of a deletion nothing more is.
   * @throws `not_found` where none of them is there, in the same words for another owner's; `invalid_field`; the reason of `signal`.
   */
  restore(owner: string, meant: TrashMeant, signal: AbortSignal): Promise<Restored>;
  /**
   * Deletes files for good; all: those that are in the trash when it begins.
   *
   * @param signal - as in `restore`.
   * @throws as `restore`; not `not_found` for `all`.
   */
  remove(owner: string, meant: TrashMeant, signal: AbortSignal): Promise<Progress>;
}
