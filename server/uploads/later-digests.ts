/** The domain's side of digests that are computed after publication. jobs/digests.ts implements it. */
import type { ContentRecord, FileRecord } from '../catalog/catalog.ts';

export type NotedFile = Pick<FileRecord, 'content' | 'owner' | 'uploadedAt'>;
/** What identifies a noted file. */
export type SoughtFile = Pick<FileRecord, 'owner' | 'uploadedAt'> & { content: Pick<ContentRecord, 'id'> };

export interface LaterDigests {
  /** Whether any digest is computed after publication. */
  readonly isOn: boolean;
  /**
   * To be called for each published file whose SHA-1 its owner does not see yet. Where other owners have the content, the
   * catalog may know the SHA-1: it is computed again, and hidden meanwhile, so that the time does not reveal them.
   */
  note(file: NotedFile): void;
  /** Whether the SHA-1 is still hidden from the file's owner. */
  readonly isPending: (file: SoughtFile) => boolean;
  /**
   * Resolves once the newest of this owner's contents have their digests, whichever node published them, or after five seconds.
   * Those that cannot be read are not waited for.
   */
  caughtUp(owner: string): Promise<void>;
  /** Computes until the service stops. @param isReceiving - whether uploads arrive at this node: they go first. */
  run(isReceiving: () => boolean): Promise<void>;
}

/** For a service that computes no digests after publication. */
export const NOTHING_LATER: LaterDigests = {
  isOn: false,
  note: () => undefined,
  isPending: () => false,
  caughtUp: async () => undefined,
  run: async () => undefined,
};
