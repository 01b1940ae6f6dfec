/**
 * The catalog: what is known about uploads, contents and files. One contract,
 * two dialects side by side (sqlite/, postgres/), one contract suite.
 *
 * What must hold:
 * - Every method is one transaction: it happens whole or not at all.
 * - Methods that move an upload take the epoch of the caller's lease and change
 *   nothing when the upload's epoch has grown past it; they then answer `false`, or undefined.
 * - A resolved write survives the death of the process. It survives a power cut
 *   once a later `durable()` has resolved.
 * - Driver errors leave as CatalogError, with the driver's error as `cause`.
 * - Every time in a row is by the catalog's clock, which all nodes share. A node gives durations (how long something may
 *   live, how long ago it was), never a time of its own; the statement that reads or writes the row asks the clock.
 *   See docs/decisions/0038-the-catalogs-clock.md.
 *
 * Times are milliseconds since the Unix epoch; sizes and offsets are bytes;
 * digests are lower-case hex.
 */
import type { AllBelow } from './all-below.ts';
import type { CatalogRows } from './rows.ts';
import type { Fate, TrashMethods } from './trash.ts';
import type { LinkedFolders } from './linked-folders.ts';
import type { NamedFiles } from './named-files.ts';
import type { Sent, SentUploads, Taken, UploadLimits, UploadTerms } from './sent-uploads.ts';
import type { QuotaMethods } from './quotas.ts';

/** `storeState` of an upload that has ended and of which the store noted nothing: the store may still have bytes of it. */
export const NOTHING_NOTED = '';

/**
 * What the holder of an upload's lease does. `unrecovered`: the lease was released, and the store may have more than the
 * row says. Null: released, and store and row agree.
 */
export type Phase = 'receiving' | 'publishing' | 'unrecovered';

/** A node that was last seen longer ago is dead: others may take its leases. */
export const NODE_DEAD_AFTER_MS = 10_000;

/** What a node says about itself when it joins. */
export interface NodeAbout {
  /** For people: the machine on which it runs. */
  name: string;
  version: string;
  /** Identifies its process, so that others on the same machine can see that it has ended (nodes/process-mark.ts); null: they cannot. */
  process: string | null;
  /** It has to be the only node, as its bytes are in a folder that other nodes cannot read. */
  isAlone: boolean;
}

export interface NodeRecord extends NodeAbout {
  id: string;
  startedAt: number;
  /** The time of its last heartbeat. */
  seenAt: number;
  isAlive: boolean;
}

/** What the holder of an upload's lease is asked: to give it back, or to commit all that has come. */
export type Asked = 'release' | 'commit';

export interface Ask {
  uploadId: string;
  what: Asked;
  /** Of the lease that is meant. */
  epoch: number;
}

/**
 * `file`: becomes a file once it has all its bytes. `partial`: a piece that is never published; it stays `receiving` with all
 * its bytes, so that they are kept until it expires. `final`: joins partials, and becomes a file.
 */
export type UploadKind = 'file' | 'partial' | 'final';

export type UploadState = 'receiving' | 'complete' | 'rejected' | 'expired' | 'terminated';

/** What a client declares about a file before it sends the bytes. */
export interface Declaration {
  /** Length in bytes; null while it is deferred. */
  size: number | null;
  md5: string | null;
  sha1: string | null;
  sha256: string | null;
  filename: string | null;
  filetype: string | null;
  /** Left out, or null: `rename`. */
  onConflict?: OnConflict | null;
  /** Opaque text of the edge that begins the upload; '' for nothing. Only that edge reads it. */
  metadata: string;
}

export interface UploadRecord extends Declaration {
  id: string;
  owner: string;
  kind: UploadKind;
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
   * The store's own note on the upload; only the store reads it. It outlives the upload until `forgetStoreState`, or until
   * a publication with `forgetsStoreState`. When an upload without a note ends unpublished, it becomes `NOTHING_NOTED`.
   */
  storeState: string | null;
  /** Why the upload was rejected: a code of the domain's errors. */
  reason: string | null;
  /** The file it became, once complete. */
  fileId: string | null;
  /** The length that was announced for an upload that its last byte does not complete; see `expectLength`. */
  expectedSize: number | null;
  /** The upload link by which it is sent; null: its owner sends it. */
  linkId: string | null;
  createdAt: number;
  expiresAt: number;
  /** Time from this reading to the expiry; 0 or less: its time is up. */
  leftMs: number;
  /** Time from the last byte to this reading; from the beginning while no byte has come. */
  idleMs: number;
}

export interface NewUpload extends Declaration {
  id: string;
  owner: string;
  /** Left out: `file`. */
  kind?: UploadKind;
  /** Of a final: the uploads that it joins, in order. One may be there several times. */
  partials?: readonly string[];
  /** Of an upload by a link. */
  sent?: Sent;
  /** How long it lives unless bytes arrive. */
  lifeMs: number;
  /** The node that begins it. */
  holder: string;
  /** `receiving` where that node holds the lease from the beginning. */
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
  /** Replaces the store's note; left out, the note becomes null. */
  storeState?: string | null;
  parts?: readonly PartRecord[];
}

/** Which unfinished uploads of kind `file` of a content to find, of those whose time is not up; none by a link. */
export interface ReceivingQuery {
  /** As it was declared. */
  md5: string;
  owner: string;
  /** Null: of any size. An upload whose length is deferred matches every size. */
  size: number | null;
  /** Only uploads that declared this SHA-256. Null: all. */
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

/** What proves that other bytes equal a content's, and that the stored ones are as they were. A secret of the service. */
export interface Proof {
  /** See stores/digests/proof.ts; null where it is not known yet. */
  proof: string | null;
  /** What the store saw of the bytes when they were found right; see `Store.assure`. */
  seal: string | null;
}

export interface RemovalRecord {
  id: number;
  key: string;
  /** The MD5 of the content that had the key; null in rows of older versions, which did not record it. */
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

/** What becomes of another file that has the name of a new one: it keeps it, or the new one takes its place. */
export type OnConflict = 'rename' | 'replace';

export interface NewFile {
  id: string;
  owner: string;
  /** May be a path: parts separated by `/`. */
  name: string;
  type: string | null;
  /** Left out: `rename`. */
  onConflict?: OnConflict;
  /** What becomes of the file that it replaces. Left out: `gone`. */
  fateOfReplaced?: Fate;
}

/** A folder: there as long as there are files below it. */
export interface FolderRecord {
  path: string;
  /** All below it. */
  files: number;
  bytes: number;
}

/** A content whose last file is gone, from the trash too, and whose key has joined the removals. */
export interface RemovedContent {
  key: string;
  md5: string;
}

/** A file that was added, or that was there already. */
export interface Placed {
  file: FileRecord;
  /** Of a file that it replaced, if that was the last of its content. */
  removed: RemovedContent | null;
}

/** A content that is new to the catalog. */
export interface NewContent extends Digests {
  size: number;
  variant: number;
  key: string;
  proof?: string;
}

export interface Publication {
  uploadId: string;
  epoch: number;
  /**
   * The content that the upload was found equal to, or the new one that it becomes. `key` beside an `id`: the key that
   * has the bytes of that content from now on; its former key joins the removals.
   */
  content: { id: number; key?: string } | NewContent;
  file: NewFile;
  /** The publication removes the store's note on the upload. */
  forgetsStoreState?: boolean;
}

/**
 * - `published`: done; `file` is the result.
 * - `lost`: another lease has a higher epoch, or the upload is no longer receiving.
 * - `conflict`: the content to join is gone, or another publication took this
 *   (md5, variant) or key first, or a node removes what was under that key before. Nothing was changed; decide again.
 */
export type PublishOutcome = ({ kind: 'published' } & Placed) | { kind: 'lost' } | { kind: 'conflict' };

/** The publication of an upload that is recorded together with it, as complete. */
export interface PublicationAtOnce {
  upload: Omit<NewUpload, 'kind' | 'partials' | 'phase'> & { size: number };
  content: NewContent;
  file: NewFile;
}

/** `too_many`: the owner has as many unfinished uploads as they may. The others: see PublishOutcome. */
export type AtOnceOutcome = Exclude<PublishOutcome, { kind: 'lost' }> | { kind: 'too_many' };

export type FileSort = 'uploaded' | 'name' | 'size';

export interface FileQuery {
  owner: string;
  /** 1 to 1000. */
  limit: number;
  sort: FileSort;
  descending: boolean;
  /** Only names that contain this text, both folded: server/wire/fold-name.ts. */
  search?: string;
  /** `nextCursor` of the page before, with the same sort and direction. */
  cursor?: string;
}

export interface FilePage {
  /** A search that has looked at very many names ends a page early, even without a file; then there is a next page. */
  files: FileRecord[];
  /** Where the next page begins; null on the last one. */
  nextCursor: string | null;
}

/** One level of an owner's tree: the folders first, then the files. */
export interface FolderQuery extends Omit<FileQuery, 'search'> {
  /** A path; empty: the top. */
  folder: string;
}

export interface FolderPage extends FilePage {
  folders: FolderRecord[];
}

/**
 * All files below a folder, folder by folder: of each its files by their names, then its folders by theirs. A page may end early,
 * even without a file; then there is a next page.
 */
export interface BelowQuery {
  owner: string;
  /** A path; empty: the top. */
  folder: string;
  limit: number;
  cursor?: string;
}

/**
 * - `taken`: there is a folder at the new path.
 * - `inside`: the new path is within the folder itself.
 * - `too_long`: a file below it would have a path that is too long, or too many folders.
 */
export type MoveOutcome =
  | { kind: 'moved'; folder: FolderRecord }
  | { kind: 'not_found' | 'taken' | 'inside' | 'too_long' };

/**
 * Some of the files below a folder, which are deleted. `nextCursor`: where to continue; null at the end. `deletion`: what all of this
 * deletion is called in the trash, if it came there.
 */
export type DeletedBelow = OwnerTotal & { removed: RemovedContent[]; nextCursor: string | null; deletion?: string };

/** All files of an owner together. */
export interface OwnerTotal {
  files: number;
  /** The sum of their sizes; a content with several files counts once for each. */
  bytes: number;
}

export type EventKind = 'published' | 'renamed' | 'deleted' | 'moved';

interface AnyEvent {
  /** Larger than the number of every earlier event; never used twice. */
  number: number;
  at: number;
}

/** Something that happened to a file. */
export interface FileEventRecord extends AnyEvent {
  kind: Exclude<EventKind, 'moved'>;
  /** Of a file that was published: who sent it by a link. Missing where the owner did. */
  sent?: Sent;
  /** The file as it was then; but SHA-1 and SHA-256 as they are known now, and null where the file is deleted. */
  file: Omit<FileRecord, 'content'> & { content: Pick<ContentRecord, 'id' | 'md5' | 'sha1' | 'sha256' | 'size'> };
}

/** A folder was moved or renamed, with all below it. */
export interface FolderEventRecord extends AnyEvent {
  kind: 'moved';
  owner: string;
  from: string;
  to: string;
}

export type EventRecord = FileEventRecord | FolderEventRecord;

export interface EventQuery {
  /** Null: of all owners. */
  owner: string | null;
  /** The number of the last event that is known; 0: from the first. */
  after: number;
  limit: number;
}

/** What a link leads to: `download`: to files; `upload`: into a folder. */
export type LinkKind = 'download' | 'upload';

export interface NewLink {
  id: string;
  owner: string;
  kind: LinkKind;
  /** SHA-256 of its secret, in hexadecimal digits. */
  secretHash: string;
  name: string | null;
  /** How long it lives; null: until it is revoked. */
  lifeMs: number | null;
  /** What a password is checked by, as text; null: it has none. */
  password: string | null;
  /** The most downloads; null: any number. */
  mostDownloads: number | null;
  /** In order; 1,000 at most with the folders, each once. */
  fileIds: readonly string[];
  /** Paths; each once. */
  folders: readonly string[];
  /** Of a link of kind `upload`. */
  upload?: UploadTerms;
}

export interface LinkRecord extends Omit<NewLink, 'secretHash' | 'lifeMs' | 'fileIds' | 'folders' | 'upload'> {
  createdAt: number;
  expiresAt: number | null;
  /** Time from this reading to the expiry; 0 or less: its time is up. Null: it does not expire. */
  leftMs: number | null;
  /** Time from this reading until a password may be tried; 0 or less: it may. */
  waitMs: number;
  downloads: number;
  revokedAt: number | null;
  lastUsedAt: number | null;
  /** How many of its files are left, with those in its folders. */
  files: number;
  /** How many of its folders are left. */
  folders: number;
  /** The name of the first of its files, without those in folders. */
  firstName: string | null;
  /** The name of the first of its folders. */
  firstFolder: string | null;
  /** Of a link of kind `upload`; else null. */
  upload: (UploadTerms & Taken) | null;
}

/** What of a link can be changed; what is left out stays. */
export interface LinkChanges {
  name?: string | null;
  /** From now on; null: it does not expire. */
  lifeMs?: number | null;
  mostDownloads?: number | null;
  /** Of an upload link. */
  limits?: Partial<UploadLimits>;
}

export interface LinkedFile {
  position: number;
  file: FileRecord;
}

export interface LinkQuery {
  owner: string;
  /** 1 to 1000. */
  limit: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

export interface LinkRecordPage {
  links: LinkRecord[];
  nextCursor: string | null;
}

/** `clock`: the last time of the catalog's clock (sqlite/clock.ts). `place`: the folder that was marked with the catalog's id. */
export type MetaKey = 'clock' | 'place';

/**
 * The catalog's clock as this process knows it without a query: for times that are in no row, and where a query each time
 * would cost too much. It may be behind the database's clock by the duration of a query.
 */
export interface CatalogClock {
  /** To decide what has expired: everything that expires by then. */
  earliest(): number;
  /** To set an expiry: lifetimes are counted from it. */
  latest(): number;
}

/** What a catalog with a clock of its own (SQLite) has found out about the machine's clock. */
export type ClockNews =
  /** While the service ran, the machine's clock jumped ahead, or back (below 0). */
  | { kind: 'jump'; byMs: number }
  /** At the start, the machine's clock differs from the catalog's. */
  | { kind: 'apart'; byMs: number }
  /** After a long time without another jump, the catalog has taken over the machine's time. */
  | { kind: 'believed'; byMs: number };

/**
 * trash.ts has the methods on the trash, named-files.ts those on names, linked-folders.ts those on folders of links,
 * sent-uploads.ts those on uploads by links; quotas.ts says what methods that add something throw.
 */
export interface Catalog extends AllBelow, LinkedFolders, NamedFiles, QuotaMethods, SentUploads, TrashMethods {
  // -- the clock ----------------------------------------------------------
  readonly clock: CatalogClock;
  /**
   * Keeps the clock right; to be called regularly. A catalog for one process records the time, so that the next process
   * continues from it; a shared one reads the database's clock again.
   */
  keepTime(): Promise<void>;

  // -- uploads ------------------------------------------------------------
  /**
   * Records a new upload: receiving, offset 0, epoch 1.
   *
   * @param mostOpen - the most receiving uploads of the owner. Where the owner has so many, nothing is recorded.
   * @returns undefined where nothing was recorded; `quota` where its link does not take it: it has ended, or its limits are reached.
   */
  createUpload(
    upload: NewUpload,
    mostOpen?: number,
  ): Promise<Pick<UploadRecord, 'createdAt' | 'expiresAt'> | 'quota' | undefined>;
  findUpload(id: string): Promise<UploadRecord | undefined>;
  /** The uploads with these ids, in any order. */
  findUploads(ids: readonly string[]): Promise<UploadRecord[]>;
  /**
   * Moves the offset forward and records the parts, all or nothing, under the lease.
   *
   * @returns the upload's new expiry; undefined, with nothing changed, where the lease is lost or the offset is below the
   *   committed one.
   */
  commitOffset(commit: OffsetCommit): Promise<Pick<UploadRecord, 'expiresAt'> | undefined>;
  /** Sets a deferred length, once, under the lease. @returns `quota`, with nothing changed, where the upload's link has not so much left. */
  declareLength(id: string, epoch: number, size: number): Promise<boolean | 'quota'>;
  /** Takes back a length that a request declared under this lease, because the request is refused. */
  withdrawLength(id: string, epoch: number): Promise<boolean>;
  /**
   * Records the length that an upload is expected to have, in place of a declared one: so its last byte does not complete
   * it, but a declaration of its length that comes later. Under the lease.
   *
   * @param size - null: the length is not known.
   * @returns false, with nothing changed, where the lease is lost, the upload has all its declared bytes, or it has more
   *   than `size`; `quota` as `declareLength`.
   */
  expectLength(id: string, epoch: number, size: number | null): Promise<boolean | 'quota'>;
  /**
   * Ends a receiving upload without publication, and forgets its parts. Its row keeps a note for the store until
   * `forgetStoreState`.
   *
   * @param epoch - null: whichever lease is held.
   */
  endUpload(
    id: string,
    epoch: number | null,
    state: 'rejected' | 'expired' | 'terminated',
    reason: string | null,
  ): Promise<boolean>;
  /**
   * Forgets a complete upload; its file stays. Where its row has a note for the store, it becomes `terminated`.
   *
   * @returns false where the owner has no such upload that is complete.
   */
  forgetComplete(id: string, owner: string): Promise<boolean>;
  /** The ledger of one upload, by part number. */
  listParts(id: string): Promise<PartRecord[]>;
  /** The matching upload whose last byte arrived most recently; one without bytes counts from its beginning. */
  findReceiving(query: ReceivingQuery): Promise<UploadRecord | undefined>;
  // The lists below have pages: each begins after the upload `after`, which was the last of the page before.
  /** Receiving uploads whose time is up, the oldest first. */
  listExpired(after: Pick<UploadRecord, 'expiresAt' | 'id'> | null, limit: number): Promise<UploadRecord[]>;
  /** Receiving uploads that have all their bytes and are no partials, sorted by their beginning. */
  listUnpublished(after: Pick<UploadRecord, 'createdAt' | 'id'> | null, limit: number): Promise<UploadRecord[]>;
  /**
   * Receiving uploads that a dead node holds, or that were released unrecovered, sorted by their expiry. Reads all
   * receiving uploads.
   */
  listAbandoned(after: Pick<UploadRecord, 'expiresAt' | 'id'> | null, limit: number): Promise<UploadRecord[]>;
  /**
   * Says when to call `listAbandoned` again: it is another text once a node has died or left, or has released an upload
   * unrecovered. For nodes that share a catalog. A crash of the database may undo a change of it.
   */
  abandonedMark(): Promise<string>;
  /** Ended uploads with a note for the store, which may still have bytes of them, sorted by id. */
  listUndiscarded(after: string, limit: number): Promise<UploadRecord[]>;
  /** Removes the note of an ended upload, of which the store has nothing any more. */
  forgetStoreState(id: string): Promise<void>;
  /** The ids whose uploads are receiving: the store must keep their bytes. */
  filterReceiving(ids: string[]): Promise<Set<string>>;
  /** Forgets some uploads that ended (other than complete) longer ago than `forMs`; returns how many. */
  forgetEnded(forMs: number, limit: number): Promise<number>;

  // -- partials and finals ------------------------------------------------
  /** The uploads that a final joins, in order; none once `releasePartials` has released them. */
  listPartials(finalId: string): Promise<UploadRecord[]>;
  /** The receiving finals that join a partial. */
  listFinalsOf(partialId: string): Promise<UploadRecord[]>;
  /**
   * Receiving finals that wait for no bytes, sorted by their beginning: all their partials have all their bytes, or one of
   * them has ended.
   */
  listFinalsDue(after: Pick<UploadRecord, 'createdAt' | 'id'> | null, limit: number): Promise<UploadRecord[]>;
  /** Finals that are not receiving any more, and still have partials: see `releasePartials`. */
  listFinalsToRelease(limit: number): Promise<UploadRecord[]>;
  /**
   * Forgets which partials an ended final has joined. Those that no other final needs live for `lifeMs` at most from now on;
   * null: as long as before.
   */
  releasePartials(finalId: string, lifeMs: number | null): Promise<void>;
  /**
   * Partials live as long as a receiving final that joins them, and that as long as any of them: moves the expiry of a
   * partial or final to the latest of those. @returns whether its time is not up then.
   */
  keepWaiting(id: string): Promise<boolean>;

  // -- leases -------------------------------------------------------------
  // `durable()` does not wait for these: a power cut ends all leases.
  /**
   * Gives the lease on a receiving upload to `node`, and raises its epoch. The row must still have the epoch that was
   * `seen`, and the lease must be free: released, or held by the same node or a dead one.
   *
   * @returns the new epoch; undefined where the lease was not free.
   */
  takeLease(seen: Pick<UploadRecord, 'id' | 'epoch'>, node: string): Promise<number | undefined>;
  /** Marks that the holder is publishing the upload, which may take long. @returns false where the lease is lost. */
  markPublishing(id: string, epoch: number): Promise<boolean>;
  /** Releases the lease, where the upload still has this epoch and is receiving. */
  releaseLease(id: string, epoch: number, options: { isRecovered: boolean }): Promise<void>;
  /**
   * When the last bytes of uploads arrived that are not committed yet: so long ago, each under the epoch of its lease. With
   * one statement, which leaves alone the rows that are two seconds behind at most.
   */
  noteArrivals(arrivals: readonly { id: string; epoch: number; idleMs: number }[]): Promise<void>;

  // -- nodes, claims and asks ---------------------------------------------
  /** Whether several nodes may have the catalog open at once. */
  readonly isShared: boolean;
  /**
   * Lets a node join, or join again.
   *
   * @returns the living nodes that prevent it, because they or this one have to be alone; none: the node has joined.
   */
  joinNode(id: string, about: NodeAbout): Promise<NodeRecord[]>;
  /** All nodes that have not left and are not forgotten, dead ones among them. */
  listNodes(): Promise<NodeRecord[]>;
  /** A heartbeat. @returns false where the node already counts as dead: others may have its leases. */
  beatNode(id: string): Promise<boolean>;
  leaveNode(id: string): Promise<void>;
  isNodeAlive(id: string): Promise<boolean>;
  /** Forgets nodes that have been dead for an hour. */
  forgetNodes(): Promise<void>;
  /** Claims work by its name for `forMs`; a claim ends early when its node dies. @returns false where another node has it. */
  claim(name: string, node: string, forMs: number): Promise<boolean>;
  unclaim(name: string, node: string): Promise<void>;
  /** Forgets claims whose time is up. */
  forgetClaims(): Promise<void>;
  /**
   * Asks a node about an upload that it holds, for when notices do not come (notices.ts). Kept until that node takes it,
   * has left or is forgotten, but not over a crash of the database; a dead node is asked nothing.
   */
  ask(node: string, ask: Ask): Promise<void>;
  /** What this node was asked about leases that have not passed since, each once; of any others nothing is left, either. */
  takeAsks(node: string): Promise<Ask[]>;

  // -- contents -----------------------------------------------------------
  /** All contents with this digest, by variant. */
  findContents(by: { md5: string } | { sha1: string } | { sha256: string }): Promise<ContentRecord[]>;
  /** Whether this owner has a file of this content. */
  ownsContent(owner: string, contentId: number): Promise<boolean>;
  /** Adds digests that were computed after publication. */
  addDigests(contentId: number, digests: { sha1?: string; sha256?: string }): Promise<void>;
  proofOf(contentId: number): Promise<Proof | undefined>;
  /** Replaces what is known; what is left out stays. */
  noteProof(contentId: number, known: { proof?: string; seal?: string }): Promise<void>;
  /** Contents whose SHA-1 is not known, sorted by id, after this one. */
  listWithoutSha1(after: number, limit: number): Promise<ContentRecord[]>;
  /**
   * Those of the newest contents without SHA-1 of which this owner has a file, the newest first. Looks at `among` contents at
   * most, whoever has them.
   */
  listOwnWithoutSha1(owner: string, among: number): Promise<ContentRecord[]>;
  /** Turns a complete upload into content plus a file, in one transaction, under the lease. */
  publish(publication: Publication): Promise<PublishOutcome>;
  /**
   * Records an upload whose bytes are final under the key of a new content, and publishes it, in one transaction: what
   * `createUpload` and `publish` would leave.
   *
   * @param mostOpen - as in `createUpload`.
   */
  publishAtOnce(publication: PublicationAtOnce, mostOpen?: number): Promise<AtOnceOutcome>;
  /** Store keys whose content is gone and whose bytes may still be stored, in the order of their removal, after this one. */
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
  /** Takes a key, whose bytes are removed, off the removals. */
  removalDone(key: string): Promise<void>;

  // -- files --------------------------------------------------------------
  // A name that is taken: where the owner has a file with the same name and content, `publish` and `addFile` return that one,
  // and add none. Where another file has the name, the new one replaces it, or is called `name (2).ext`; see `OnConflict`.
  // Files of older versions may share a name.
  /** Instant upload: gives the content to the owner under this name; undefined when the content is gone. */
  addFile(contentId: number, file: NewFile): Promise<Placed | undefined>;
  /** With `owner` null: of any owner. */
  findFile(id: string, owner: string | null): Promise<FileRecord | undefined>;
  /** Those of these files, 512 at most, that are there, in any order; with `owner` null: of any owner. */
  findFiles(ids: readonly string[], owner: string | null): Promise<FileRecord[]>;
  /** The owner's file of this content that was uploaded first, or last. */
  findFileOfContent(contentId: number, owner: string, which: 'oldest' | 'latest'): Promise<FileRecord | undefined>;
  listFiles(query: FileQuery): Promise<FilePage>;
  /** Costs the same however many files there are. */
  totalOf(owner: string): Promise<OwnerTotal>;
  /** Gives it another name, or moves it to another folder. Where another file has the name, it is called `name (2).ext`. */
  renameFile(id: string, owner: string, name: string, type: string | null): Promise<FileRecord | undefined>;
  /**
   * Deletes a file. With the last file of a content, also in the trash, it deletes the content, too, whose key joins the removals.
   * It also deletes the row of the upload that became the file; where that has a note for the store, it becomes `terminated`.
   *
   * @param fate - `gone` by default.
   * @returns undefined when there is no such file.
   */
  deleteFile(
    id: string,
    owner: string,
    fate?: Fate,
  ): Promise<{ file: FileRecord; removedKey: string | null } | undefined>;

  // -- links --------------------------------------------------------------
  // A link names files by their ids: it outlives their renaming, and a deletion takes a file out of it.
  /**
   * @param most - the most links of the owner that have not ended: not revoked, expired or used up.
   * @returns the link; or why nothing was recorded: `missing`, a file that is not the owner's; `missingFolder`, a path at which the
   *   owner has no folder; or that there are so many.
   */
  createLink(
    link: NewLink,
    most: number,
  ): Promise<{ link: LinkRecord } | { missing: string } | { missingFolder: string } | 'too_many'>;
  findLink(secretHash: string): Promise<LinkRecord | undefined>;
  findOwnLink(id: string, owner: string): Promise<LinkRecord | undefined>;
  /** The newest first. @throws CatalogError `invalid_cursor`. */
  listLinks(query: LinkQuery): Promise<LinkRecordPage>;
  /**
   * @param most - as in `createLink`: a link that has ended may not begin again where there are so many.
   * @returns undefined where the owner has no such link that is not revoked.
   */
  changeLink(
    id: string,
    owner: string,
    changes: LinkChanges,
    most: number,
  ): Promise<LinkRecord | undefined | 'too_many'>;
  /** Its files are no longer recorded with it. @returns false where the owner has no such link that is not revoked. */
  revokeLink(id: string, owner: string): Promise<boolean>;
  /** The files of a link that are left, in order. */
  listLinkFiles(id: string): Promise<LinkedFile[]>;
  findLinkFile(id: string, position: number): Promise<FileRecord | undefined>;
  /** Counts one download. @returns false, with nothing counted, where the link is revoked, expired or used up. */
  countDownload(id: string): Promise<boolean>;
  /** Takes back what `countDownload` counted. */
  giveBackDownload(id: string): Promise<void>;
  /**
   * Counts an attempt with a password, before it is checked. With the last of `most` attempts, the link waits for `waitMs`.
   *
   * @returns false where the link waits, or is gone.
   */
  countAttempt(id: string, most: number, waitMs: number): Promise<boolean>;
  /** Forgets the attempts: the password was right. */
  forgiveAttempts(id: string): Promise<void>;
  /**
   * Looks at `limit` links, by id, after this one. Forgets those that were revoked, expired, used up or without a file longer
   * ago than `forMs`.
   *
   * @returns the last id that was looked at; null where there was none.
   */
  forgetLinks(after: string, forMs: number, limit: number): Promise<string | null>;

  // -- folders ------------------------------------------------------------
  // Nobody makes a folder: it is there as long as there are files below it.
  /** Undefined where the owner has no such folder, as in the methods below. */
  findFolder(owner: string, path: string): Promise<FolderRecord | undefined>;
  listFolder(query: FolderQuery): Promise<FolderPage | undefined>;
  listBelow(query: BelowQuery): Promise<FilePage | undefined>;
  /** Moves a folder, with all below it, or renames it. Changes a few rows however many files there are. */
  moveFolder(owner: string, from: string, to: string): Promise<MoveOutcome>;
  /**
   * Deletes some of the files below a folder, as `deleteFile` does, 64 at most. The call without a cursor is the start: with its
   * cursors only files go that were there then, and nothing where the path has become another folder's.
   *
   * @param fate - `gone` by default.
   */
  deleteBelow(owner: string, path: string, cursor?: string, fate?: Fate): Promise<DeletedBelow | undefined>;

  // -- events -------------------------------------------------------------
  // The transaction that adds (`publish`, `addFile`), renames or deletes a file, or moves a folder, records an event.
  /**
   * The events after a number, in their order. Once an event is listed, no event with a smaller number appears later.
   * Null where some of the requested events are forgotten; with an owner, only that owner's events count.
   */
  listEvents(query: EventQuery): Promise<EventRecord[] | null>;
  /** The number of the latest event, forgotten or not; of any owner with `owner` null. 0 where there was none. */
  latestEvent(owner: string | null): Promise<number>;
  /** Forgets the oldest events, at most `limit`, that happened longer ago than `forMs`. @returns how many. */
  forgetEvents(forMs: number, limit: number): Promise<number>;
  /** 16 random bytes in hexadecimal digits, created with the catalog: the key that encrypts the cursors of events. */
  eventSecret(): Promise<string>;
  /** The secret from which the key of proofs is made. @param fresh - becomes it where there is none. */
  proofSecret(fresh: string): Promise<string>;

  // -- the whole ----------------------------------------------------------
  /** A random id, created with the catalog; copies of the catalog have the same one. */
  id(): Promise<string>;
  getMeta(key: MetaKey): Promise<string | undefined>;
  setMeta(key: MetaKey, value: string): Promise<void>;
  /** `bytes`: it has contents or uploads whose bytes must be in the store. `uploads`: only other uploads. `nothing`: neither. */
  extent(): Promise<'nothing' | 'uploads' | 'bytes'>;
  /** Its rows as they stand, to be moved into another catalog: no service asks for them. */
  readonly rows: CatalogRows;
  /** Resolves when everything committed before the call survives a power cut. */
  durable(): Promise<void>;
  /** Runs a small query. @throws CatalogError `unavailable`. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/**
 * - `unavailable`: cannot be opened or reached, locked by another service, not writable.
 * - `full`: no room for the change; nothing was changed.
 * - `over_quota`: see quotas.ts.
 * - `invalid_cursor`: the cursor is not one of this catalog, or belongs to a listing with another sort.
 * - `failed`: anything else.
 */
export type CatalogErrorCode = 'unavailable' | 'full' | 'over_quota' | 'invalid_cursor' | 'failed';

export class CatalogError extends Error {
  readonly code: CatalogErrorCode;

  constructor(code: CatalogErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'CatalogError';
    this.code = code;
  }
}
