/** What the promises say must be so, from what clients have sent and were answered: the simulation's model. */

/** What a client sends of one upload. */
export interface Plan {
  readonly bytes: Buffer;
  readonly md5: string | null;
  /** The MD5 is declared wrong, or a sender has other bytes than those that were declared. */
  mayBeRejected: boolean;
  /** Some request has sent other bytes: what the upload becomes is what its ledger took. */
  isMixed: boolean;
}

export interface UploadModel {
  readonly id: string;
  readonly plan: Plan | undefined;
  /** Bytes that the ledger counts, which may only grow. */
  committed: Buffer;
  /** The largest offset that a client was told; -1 where no client was told of the upload. */
  told: number;
  /** Its owner was told of its end. */
  isEndTold: boolean;
  state: string;
  epoch: number;
  /** Of the row as it was looked at last. */
  seen: string;
  fileId: string | null;
  /** Its owner has asked for its end. */
  mayEnd: boolean;
  /** When bytes were last counted. */
  movedAtMs: number;
  /** Requests that write, chunks, and deaths: whatever may move the offset. */
  activity: number;
  /** As it was when the last offset was told. */
  activityWhenTold: number;
  /** What the last writer brings, where its request has a checksum: all of it counts, or nothing. */
  atomic: { from: number; to: number } | undefined;
  /** A writer without the lease has left pieces. */
  hasStale: boolean;
  /** Up to where bytes were stored when a lease was taken, counted or not; by its epoch. */
  readonly storedAtLease: Map<number, number>;
}

export interface FileModel {
  readonly id: string;
  readonly owner: string;
  readonly bytes: Buffer;
  /** Its owner has asked for its removal. */
  mayGo: boolean;
  /** A client was told of it. */
  isTold: boolean;
}

export interface Model {
  readonly uploads: Map<string, UploadModel>;
  readonly files: Map<string, FileModel>;
  /** Ids of all that were ever there. */
  readonly seenFiles: Set<string>;
  /** Files whose removal was answered. */
  readonly gone: Set<string>;
  /** By the file name that the upload declares. */
  readonly plans: Map<string, Plan>;
  /** Final names on the disk that a writer made after it had lost its lease, or died: they may stay. */
  readonly strays: Set<string>;
}

export function createModel(): Model {
  return {
    uploads: new Map(),
    files: new Map(),
    seenFiles: new Set(),
    gone: new Set(),
    plans: new Map(),
    strays: new Set(),
  };
}
