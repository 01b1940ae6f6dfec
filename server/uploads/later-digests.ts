/** Digests that are computed after publication: what the life of uploads and files needs of them. See jobs/digests.ts. */
import type { ContentRecord, FileRecord } from '../catalog/catalog.ts';

export type NotedFile = Pick<FileRecord, 'content' | 'owner' | 'uploadedAt'>;
/** What it takes to find one that was noted. */
export type SoughtFile = Pick<FileRecord, 'owner' | 'uploadedAt'> & { content: Pick<ContentRecord, 'id'> };

export interface LaterDigests {
  /** Whether it computes any. */
  readonly isOn: boolean;
  /**
   * A file has been published. Where others have its content already the SHA-1 may be known: it is
   * computed all the same, and not told meanwhile, so that it takes as long as that of what nobody has.
   */
  note(file: NotedFile): void;
  /** Whether a file's owner is not to be told its SHA-1 yet. */
  readonly isPending: (file: SoughtFile) => boolean;
  /** Resolves once what this owner published lately has its digests, or after a while. */
  caughtUp(owner: string): Promise<void>;
  /** Computes until the service stops. @param isReceiving - whether uploads arrive at this node: they go first. */
  run(isReceiving: () => boolean): Promise<void>;
}

/** Where the service computes no digests later. */
export const NOTHING_LATER: LaterDigests = {
  isOn: false,
  note: () => undefined,
  isPending: () => false,
  caughtUp: async () => undefined,
  run: async () => undefined,
};
