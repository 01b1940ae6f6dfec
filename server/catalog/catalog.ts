/**
 * The catalog: what is known about uploads, contents and files. One contract,
 * two dialects side by side (sqlite/, later postgres/), one contract suite.
 *
 * What must hold:
 * - Every method is one transaction: it happens whole or not at all.
 * - Methods that move an upload take the epoch of the caller's lease and change
 *   nothing when the upload's epoch has grown past it; they then answer `false`, or undefined.
 * - A resolved write survives the death of the process. It survives a power cut
 *   once a later `durable()` has resolved.
 * - Driver errors leave as CatalogError, with the driver's error as `cause`.
 * - Every time in a row is by the catalog's clock, which all nodes share. A node says how long something may live and how
 *   long ago it was, never when; the statement that reads or writes the row asks the clock.
 *   See docs/decisions/0038-the-catalogs-clock.md.
 *
 * Times are milliseconds since the Unix epoch; sizes and offsets are bytes;
 * digests are lower-case hex.
 */
import type { CatalogRows } from './rows.ts';

/** The store noted nothing of an upload that has ended: it may have something of it all the same. */
export const NOTHING_NOTED = '';

/**
 * What the holder of an upload's lease does. `unrecovered`: the lease was released, and the store may have more than the
 * row says. Null: released, and store and row agree.
 */
export type Phase = 'receiving' | 'publishing' | 'unrecovered';

/** A node that has not been seen for so long has no lease any more. */
export const NODE_DEAD_AFTER_MS = 10_000;

/** What a node tells of itself when it joins. */
export interface NodeAbout {
  /** For people: on which machine it runs. */
  name: string;
  version: string;
  /** By which another process on its machine can tell that it has ended (nodes/process-mark.ts); null where none can. */
  process: string | null;
  /** Its bytes are in a folder that no other node reads: it has to be the only node. */
  isAlone: boolean;
}

export interface NodeRecord extends NodeAbout {
  id: string;
  startedAt: number;
  /** When its heart beat last. */
  seenAt: number;
  isAlive: boolean;
}

export type UploadState = 'receiving' | 'complete' | 'rejected' | 'expired' | 'terminated';

/** What a client says about a file before sending it. */
export interface Declaration {
  /** Length in bytes; null while it is deferred. */
  size: number | null;
  md5: string | null;
  sha1: string | null;
  sha256: string | null;
  filename: string | null;
  filetype: string | null;
  /** What the edge that begins the upload notes of it, which nobody else reads; '' for nothing. */
  metadata: string;
}

export interface UploadRecord extends Declaration {
  id: string;
  owner: string;
  state: UploadState;
  /** Committed bytes: durably stored, in order, from byte 0. */
  offset: number;
  /** Digest state at `offset` (see stores/digests); null before the first commit. */
  snapshot: Uint8Array | null;
  /** Grows with every lease on this upload. */
  epoch: number;
  /** The node that holds the lease, or held it last. */
  holder: string | null;
  phase: Phase | null;
  /**
   * What the store keeps of it; only the store reads it. Stays after the end, until `forgetStoreState`, but for a
   * publication with `forgetsStoreState`:
   * `NOTHING_NOTED` where the store had told nothing by then.
   */
  storeState: string | null;
  /** Why the upload was rejected: a code of the domain's errors. */
  reason: string | null;
  /** The file it became, once complete. */
  fileId: string | null;
  createdAt: number;
  expiresAt: number;
  /** As of this reading: how long it still lives. From 0 down its time is up. */
  leftMs: number;
  /** As of this reading: how long ago the last byte came; while it has none, how long ago it was begun. */
  idleMs: number;
}

export interface NewUpload extends Declaration {
  id: string;
  owner: string;
  /** How long it lives unless bytes come. */
  lifeMs: number;
  /** The node that begins it. */
  holder: string;
  /** `receiving` where that node holds the lease from the first moment on. */
  phase: 'receiving' | null;
}

/** One row of the ledger, for stores that send parts. */
export interface PartRecord {
  number: number;
  start: number;
  size: number;
  etag: string;
  /** Digest state at the part's end. */
  snapshot: Uint8Array;
}

export interface OffsetCommit {
  id: string;
  epoch: number;
  offset: number;
  snapshot: Uint8Array;
  /** How long ago the last of these bytes arrived; null where none of them has just arrived. */
  idleMs: number | null;
  /** How long the upload lives from now on; null: its expiry stays. */
  lifeMs: number | null;
  /** Replaces what was kept; null where it is left out. */
  storeState?: string | null;
  part?: PartRecord;
}

/** Unfinished uploads of a content whose time is not up. */
export interface ReceivingQuery {
  /** As it was declared. */
  md5: string;
  /** Null: of anyone. */
  owner: string | null;
  /** Null: of any size. An upload whose length is deferred may be of each. */
  size: number | null;
  /** Only uploads that declared this one. Null: whatever they declared. */
  sha256: string | null;
  /** 1 for those that have bytes, committed or only noted (`noteArrivals`); 0 for all. */
  minOffset: number;
}

export interface Digests {
  md5: string;
  sha1: string | null;
  sha256: string | null;
}

export interface ContentRecord extends Digests {
  id: number;
  size: number;
  /** 0, or 1, 2, … for further contents that share their MD5 with another. */
  variant: number;
  /** Where its bytes are in the store. */
  key: string;
  publishedAt: number;
}

export interface RemovalRecord {
  id: number;
  key: string;
  /** Of the content that had it; null for one from before this was kept. */
  md5: string | null;
}

export interface FileRecord {
  id: string;
  owner: string;
  name: string;
  /** Media type as declared or derived from the name; null when unknown. */
  type: string | null;
  uploadedAt: number;
  content: ContentRecord;
}

export interface NewFile {
  id: string;
  owner: string;
  name: string;
  type: string | null;
}

export interface Publication {
  uploadId: string;
  epoch: number;
  /**
   * The content this upload was found equal to, or the new one it becomes. `key` beside an
   * `id`: where the bytes of that content are from now on; the key they had joins the removals.
   */
  content: { id: number; key?: string } | (Digests & { size: number; variant: number; key: string });
  file: NewFile;
  /** A file of that owner with the same name and content is returned as it is, and none is added. */
  reuseFile?: boolean;
  /** What the store keeps of the upload does not matter any more. */
  forgetsStoreState?: boolean;
}

/**
 * - `published`: done, here is the file.
 * - `lost`: the lease's epoch has passed, or the upload is no longer receiving.
 * - `conflict`: the content to join is gone, or another publication took this
 *   (md5, variant) or key first, or a node removes what was under that key before. Nothing was changed; decide again.
 */
export type PublishOutcome = { kind: 'published'; file: FileRecord } | { kind: 'lost' } | { kind: 'conflict' };

export type FileSort = 'uploaded' | 'name' | 'size';

export interface FileQuery {
  owner: string;
  /** 1 to 1000. */
  limit: number;
  sort: FileSort;
  descending: boolean;
  /** Only names that contain this text, letter case of ASCII letters ignored. */
  search?: string;
  /** `nextCursor` of the page before, with the same sort and direction. */
  cursor?: string;
}

export interface FilePage {
  files: FileRecord[];
  /** Where the next page begins; null on the last one. */
  nextCursor: string | null;
}

/** What an owner has altogether. */
export interface OwnerTotal {
  files: number;
  /** The sizes of these files; a content counts with each of its files. */
  bytes: number;
}

export type EventKind = 'published' | 'renamed' | 'deleted';

/** Something that happened to a file. */
export interface EventRecord {
  /** Larger than that of every event before it; never given out twice. */
  number: number;
  kind: EventKind;
  at: number;
  /** As it was then. SHA-1 and SHA-256 are those that are known by now; null where the file is gone. */
  file: Omit<FileRecord, 'content'> & { content: Pick<ContentRecord, 'id' | 'md5' | 'sha1' | 'sha256' | 'size'> };
}

export interface EventQuery {
  /** Null: of all. */
  owner: string | null;
  /** The number of the last event that is known; 0: from the first. */
  after: number;
  limit: number;
}

/** `clock`: how far the catalog's clock has come (sqlite/clock.ts). `place`: the folder that was marked with the catalog's id. */
export type MetaKey = 'clock' | 'place';

/**
 * The catalog's clock as this process knows it without asking: for what stands in no row, or of which each question
 * would cost a statement. It may be behind the database's by as long as an answer takes.
 */
export interface CatalogClock {
  /** What ends by then has ended. */
  earliest(): number;
  /** A life is counted from it. */
  latest(): number;
}

/** What a catalog that keeps its own time has found out about the machine's clock. */
export type ClockNews =
  /** While the service ran it went so far ahead, or back (below 0). */
  | { kind: 'jump'; byMs: number }
  /** At the start it is so far from where the catalog's own time has come. */
  | { kind: 'apart'; byMs: number }
  /** It has held for so long that it is believed. */
  | { kind: 'believed'; byMs: number };

export interface Catalog {
  // -- the clock ----------------------------------------------------------
  readonly clock: CatalogClock;
  /** Notes how far the clock has come, so that the next process continues from there. To be called now and then. */
  keepTime(): Promise<void>;

  // -- uploads ------------------------------------------------------------
  /**
   * Records a new upload: receiving, offset 0, epoch 1.
   *
   * @param mostOpen - undefined is returned, and nothing is recorded, where the owner has as many that are receiving.
   */
  createUpload(
    upload: NewUpload,
    mostOpen?: number,
  ): Promise<Pick<UploadRecord, 'createdAt' | 'expiresAt'> | undefined>;
  findUpload(id: string): Promise<UploadRecord | undefined>;
  /**
   * Moves the offset forward and records the part, under the lease.
   *
   * @returns when the upload expires from now on; undefined, and nothing is changed, where the lease is lost or the
   *   offset lies behind.
   */
  commitOffset(commit: OffsetCommit): Promise<Pick<UploadRecord, 'expiresAt'> | undefined>;
  /** Sets a deferred length, once, under the lease. */
  declareLength(id: string, epoch: number, size: number): Promise<boolean>;
  /** Takes back a length that was declared under this lease, by a request that is refused. */
  withdrawLength(id: string, epoch: number): Promise<boolean>;
  /** Ends a receiving upload without publication, and forgets its parts; the store may keep something of it from now on. `epoch` null: whichever lease is held. */
  endUpload(
    id: string,
    epoch: number | null,
    state: 'rejected' | 'expired' | 'terminated',
    reason: string | null,
  ): Promise<boolean>;
  /** The ledger of one upload, by part number. */
  listParts(id: string): Promise<PartRecord[]>;
  /** The matching upload whose last byte came most recently; one without bytes counts from when it was begun. */
  findReceiving(query: ReceivingQuery): Promise<UploadRecord | undefined>;
  /** Receiving uploads whose time is up, the oldest first, after this one. */
  listExpired(after: Pick<UploadRecord, 'expiresAt' | 'id'> | null, limit: number): Promise<UploadRecord[]>;
  /** Receiving uploads that have all their bytes, by when they were begun, after this one. */
  listUnpublished(after: Pick<UploadRecord, 'createdAt' | 'id'> | null, limit: number): Promise<UploadRecord[]>;
  /**
   * Receiving uploads that a dead node holds, or that were released unrecovered, by when they expire, after this one.
   * It looks at all that are receiving.
   */
  listAbandoned(after: Pick<UploadRecord, 'expiresAt' | 'id'> | null, limit: number): Promise<UploadRecord[]>;
  /** Uploads that have ended while the store still keeps something of them, by id, after this one. */
  listUndiscarded(after: string, limit: number): Promise<UploadRecord[]>;
  /** The store keeps nothing of this upload any more, which has ended. */
  forgetStoreState(id: string): Promise<void>;
  /** Those of these ids whose uploads are receiving: the store must keep their bytes. */
  filterReceiving(ids: string[]): Promise<Set<string>>;
  /** Forgets some uploads that ended (other than complete) longer ago than `forMs`; returns how many. */
  forgetEnded(forMs: number, limit: number): Promise<number>;

  // -- leases -------------------------------------------------------------
  // None of these is durable by itself: a lease ends with the power.
  /**
   * Gives the lease on a receiving upload to `node`, and raises its epoch. It must be as it was `seen`, and free: released,
   * of the same node, or held by a node that is dead.
   *
   * @returns the new epoch; undefined where the lease was not free.
   */
  takeLease(seen: Pick<UploadRecord, 'id' | 'epoch'>, node: string): Promise<number | undefined>;
  /** The holder publishes the upload, which may take a while. `false` where it does not hold it any more. */
  markPublishing(id: string, epoch: number): Promise<boolean>;
  /** Releases the lease, where the upload still has this epoch and is receiving. */
  releaseLease(id: string, epoch: number, options: { isRecovered: boolean }): Promise<void>;
  /**
   * When the last bytes of uploads arrived that are not committed yet: so long ago, each under the epoch of its lease. With
   * one statement, which leaves alone the rows that are two seconds behind at most.
   */
  noteArrivals(arrivals: readonly { id: string; epoch: number; idleMs: number }[]): Promise<void>;

  // -- nodes and claims ---------------------------------------------------
  /** Whether several nodes may have it open at once. */
  readonly isShared: boolean;
  /**
   * Joins, or joins again.
   *
   * @returns the nodes that live and are in the way, because they have to be alone, or this one has: then it has not
   *   joined. None: it has.
   */
  joinNode(id: string, about: NodeAbout): Promise<NodeRecord[]>;
  /** All that have not left and are not forgotten. */
  listNodes(): Promise<NodeRecord[]>;
  /** The node lives. `false` where it was taken for dead: others may have its leases. */
  beatNode(id: string): Promise<boolean>;
  leaveNode(id: string): Promise<void>;
  isNodeAlive(id: string): Promise<boolean>;
  /** Forgets nodes that have been dead for an hour. */
  forgetNodes(): Promise<void>;
  /** Work by this name is the node's for so long, if it lives as long; `false` where another has it. */
  claim(name: string, node: string, forMs: number): Promise<boolean>;
  unclaim(name: string, node: string): Promise<void>;
  /** Forgets claims whose time is up. */
  forgetClaims(): Promise<void>;

  // -- contents -----------------------------------------------------------
  /** All contents with this digest, by variant. */
  findContents(by: { md5: string } | { sha1: string } | { sha256: string }): Promise<ContentRecord[]>;
  /** Whether this owner has a file of this content. */
  ownsContent(owner: string, contentId: number): Promise<boolean>;
  /** Adds digests that were computed after publication. */
  addDigests(contentId: number, digests: { sha1?: string; sha256?: string }): Promise<void>;
  /** Contents whose SHA-1 is not known, by id, after this one. */
  listWithoutSha1(after: number, limit: number): Promise<ContentRecord[]>;
  /** Turns a complete upload into content plus a file, in one transaction, under the lease. */
  publish(publication: Publication): Promise<PublishOutcome>;
  /** Store keys whose content is gone and whose bytes may still be there, in the order they came, after this one. */
  listRemovals(after: number, limit: number): Promise<RemovalRecord[]>;
  /**
   * The bytes of a key are this node's to remove for so long, if it lives as long: no content is given the key meanwhile.
   * `false` where nothing is to be removed, a content has the key, or another node is removing its bytes.
   */
  claimRemoval(key: string, node: string, forMs: number): Promise<boolean>;
  /** They could not be removed now: others may. */
  unclaimRemoval(key: string, node: string): Promise<void>;
  /** Those of these store keys, 100 at most, that a content has. */
  filterKeys(keys: string[]): Promise<Set<string>>;
  /** The bytes of `key` are gone. */
  removalDone(key: string): Promise<void>;

  // -- files --------------------------------------------------------------
  /**
   * Instant upload: gives the content to the owner under this name. A file of
   * that owner with the same name and content is returned as it is; undefined
   * when the content is gone.
   */
  addFile(contentId: number, file: NewFile): Promise<FileRecord | undefined>;
  /** Of anyone with owner null. */
  findFile(id: string, owner: string | null): Promise<FileRecord | undefined>;
  /** One of the owner's files of this content, by when they were uploaded. */
  findFileOfContent(contentId: number, owner: string, which: 'oldest' | 'latest'): Promise<FileRecord | undefined>;
  listFiles(query: FileQuery): Promise<FilePage>;
  /** Costs the same however many files there are. */
  totalOf(owner: string): Promise<OwnerTotal>;
  renameFile(id: string, owner: string, name: string, type: string | null): Promise<FileRecord | undefined>;
  /**
   * Deletes a file; with the last file of a content, the content too, whose key
   * joins the removals. An upload that became it goes, too, unless the store still keeps
   * something of it: then it is terminated. Undefined when there is no such file.
   */
  deleteFile(id: string, owner: string): Promise<{ file: FileRecord; removedKey: string | null } | undefined>;

  // -- events -------------------------------------------------------------
  // A file that is made (`publish`, `addFile`), renamed or deleted is an event, recorded in the same transaction.
  /**
   * The events after a number, in their order. Once an event is listed, no event with a smaller number appears. Null
   * where some of the events that are asked for are forgotten; with an owner, only that owner's events count.
   */
  listEvents(query: EventQuery): Promise<EventRecord[] | null>;
  /** The number of the latest event, of all with owner null, whether it is forgotten or not; 0 where there was none. */
  latestEvent(owner: string | null): Promise<number>;
  /** Forgets the oldest events, so many at most, up to the first that happened no longer ago than `forMs`; returns how many. */
  forgetEvents(forMs: number, limit: number): Promise<number>;
  /** 16 random bytes in hexadecimal digits, made with the catalog: for cursors that other owners cannot read. */
  eventSecret(): Promise<string>;

  // -- the whole ----------------------------------------------------------
  /** Random, and the same for as long as the catalog lives; a copy has it too. */
  id(): Promise<string>;
  getMeta(key: MetaKey): Promise<string | undefined>;
  setMeta(key: MetaKey, value: string): Promise<void>;
  /** What it knows of: contents or uploads that must have `bytes` in the store, at most `uploads` that may, `nothing`. */
  extent(): Promise<'nothing' | 'uploads' | 'bytes'>;
  /** Its rows as they stand, to be moved into another catalog: no service asks for them. */
  readonly rows: CatalogRows;
  /** Resolves when everything committed before the call survives a power cut. */
  durable(): Promise<void>;
  /** Answers, or throws CatalogError `unavailable`. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/**
 * - `unavailable`: cannot be opened or reached, locked by another service, not writable.
 * - `full`: no room for the change; nothing was changed.
 * - `invalid_cursor`: the cursor of a listing is not one of ours, or of another sort.
 * - `failed`: anything else.
 */
export type CatalogErrorCode = 'unavailable' | 'full' | 'invalid_cursor' | 'failed';

export class CatalogError extends Error {
  readonly code: CatalogErrorCode;

  constructor(code: CatalogErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'CatalogError';
    this.code = code;
  }
}
