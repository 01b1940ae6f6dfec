/**
 * What the service's edges may call of the domain, uploads and files. The edges get views, never rows of the catalog.
 * All refusals are TidemarkError.
 */
import type { Readable } from 'node:stream';
import type { ByteRange } from '../../stores/store.ts';
import type {
  Declaration,
  FileSort,
  FolderRecord,
  OnConflict,
  OwnerTotal,
  UploadKind,
  UploadState,
} from '../catalog/catalog.ts';
import type { NamedFile } from '../catalog/named-files.ts';
import type { Sent } from '../catalog/sent-uploads.ts';
import type { Challenge, Claim } from './challenges.ts';
import type { WholeRequest } from './receive-whole.ts';
import type { Writer } from './writer.ts';

/** For the expiry of tickets, which have no row in the catalog. */
export type { CatalogClock } from '../catalog/catalog.ts';

export type { Declaration, FolderRecord, OnConflict, UploadKind } from '../catalog/catalog.ts';

export type { Sent } from '../catalog/sent-uploads.ts';

export { type Challenge, CHALLENGE_LIFE_MS } from './challenges.ts';

/** How long the service answers that an upload has ended; after that, the upload is not found. */
export const REMEMBER_ENDED_MS = 7 * 24 * 3_600_000;

/** An upload as the edges see it. Times are milliseconds since the epoch. */
export interface UploadView {
  readonly id: string;
  readonly kind: UploadKind;
  readonly state: UploadState;
  /** Committed bytes: durably stored, in order, from byte 0. */
  readonly offset: number;
  /** Null while it is deferred; of a final, while that of one of its partials is. */
  readonly size: number | null;
  /** The announced length of an upload that is complete only once its client says so; see `expectLength` of the writer. */
  readonly expectedSize: number | null;
  /** As the client declared it; null where it declared none. */
  readonly filename: string | null;
  /** What the edge that began the upload noted, unchanged. */
  readonly metadata: string;
  /** The file it became, once complete. */
  readonly fileId: string | null;
  readonly createdAt: number;
  /** Time from the last byte, stored or not, to this reading; from the beginning while no byte has come. */
  readonly idleMs: number;
  readonly expiresAt: number;
  /** Time from this reading to the expiry; 0 or less: its time is up. */
  readonly leftMs: number;
}

/** A content as the edges see it. Digests that the asker may not see are null. */
export interface ContentView {
  readonly md5: string;
  readonly sha1: string | null;
  readonly sha256: string | null;
  readonly size: number;
  /** See `ContentName`. */
  readonly variant: number;
  readonly publishedAt: number;
}

/** A file as the edges see it. */
export interface FileView {
  readonly id: string;
  readonly name: string;
  /** Media type; null when unknown. */
  readonly type: string | null;
  readonly uploadedAt: number;
  readonly content: ContentView;
}

export interface BeginRequest {
  id: string;
  owner: string;
  declaration: Declaration;
  /** Left out: `file`. */
  kind?: 'file' | 'partial';
  /** Somebody sends it by a link of the owner's, and within its limits. */
  sent?: Sent;
}

/** A final upload: its bytes are those of its partials, one after the other. */
export interface FinalRequest extends Omit<BeginRequest, 'kind'> {
  /** The ids of the partials, in order; at least one, and `MOST_PARTIALS` at most. One may be there several times. */
  partials: readonly string[];
}

/** The most partials of one final. */
export const MOST_PARTIALS = 512;

/** The most bytes that a file may have. Without a limit: as many as can be counted exactly. */
export function mostFileBytes({ maxFileSizeBytes }: { maxFileSizeBytes: number | null }): number {
  return maxFileSizeBytes ?? Number.MAX_SAFE_INTEGER;
}

export interface Received {
  /** Offset after this request; durable. */
  offset: number;
  /** The published file, when these were the last bytes. */
  file: FileView | null;
  /** When the upload expires unless more bytes arrive; ms since the epoch. */
  expiresAt: number;
  /** Why the source ended early, when it did. */
  interrupted: unknown;
}

export interface Uploads {
  /** Checks what the client declares, records a new upload, and makes room in the store. @throws `quota_reached` where its link does not take it. */
  begin(request: BeginRequest): Promise<UploadView>;
  /**
   * As `begin`, where the same request brings bytes. Its answer waits for those, so the row need not be durable before.
   * The caller has to release the writer.
   */
  beginWriting(request: BeginRequest): Promise<Writer>;
  /**
   * Creates an upload whose bytes are all here, and publishes it. They are stored as a whole, or not at all.
   *
   * @returns the file; undefined where nothing was done: it has to go the way of all others, by `beginWriting`.
   * @throws as `begin`; `store_full`, `store_unavailable`.
   */
  createAtOnce(request: BeginRequest, bytes: Uint8Array): Promise<FileView | undefined>;
  /** The same for an upload that was begun and has no bytes yet; else undefined, too: the other way is `open`. */
  completeAtOnce(id: string, owner: string, bytes: Uint8Array): Promise<FileView | undefined>;
  /**
   * Records a final upload. The service joins its partials once all of them have all their bytes; where they have already,
   * this waits for it for a few seconds. After that the final goes on by itself: its state tells.
   *
   * @throws `partial_not_found`, also for another owner's; `not_partial`, `too_large`, `too_many_uploads`,
   *   `digest_mismatch`.
   */
  beginFinal(request: FinalRequest): Promise<UploadView>;
  /**
   * An upload's state, for its owner, with an offset at which the next request can resume. Never ends a running
   * transfer, but first has it commit the bytes that have arrived; where that takes too long, the offset is the last
   * committed one. An upload that has all its bytes and is not published yet is published first.
   *
   * @param options.often - for a client that asks repeatedly: while bytes keep coming, an offset committed a moment ago
   *   is enough.
   * @throws `not_found`, or `upload_expired`, `upload_rejected`, `upload_terminated`.
   */
  view(id: string, owner: string, options?: { often?: boolean }): Promise<UploadView>;
  /** An upload as its row is, for its owner. @throws as `view`. */
  current(id: string, owner: string): Promise<UploadView>;
  /**
   * Opens a writer for the upload's owner, and asks a running one to stop. Once this resolves, what a crash left beyond
   * the last commit is recovered. The caller has to release the writer.
   *
   * @throws as `view`; `offset_conflict`; `upload_is_final` where the caller wants to write to a final; `upload_locked`
   *   after the lock timeout; `upload_taken_over`.
   */
  open(id: string, owner: string, options: OpenOptions): Promise<Writer>;
  /**
   * As `view`, for a client that has given up its earlier requests: ends a writer that still runs, on whichever node. No
   * request that began before can move the offset any more.
   *
   * @param signal - ends the waiting for the lease.
   * @throws as `view` and `open`.
   */
  fence(id: string, owner: string, signal: AbortSignal): Promise<UploadView>;
  /**
   * Ends an upload for its owner: running requests stop, and its bytes are removed. A published upload is forgotten, and its
   * file stays.
   *
   * @param signal - ends the waiting for the lease.
   * @throws as `open`.
   */
  end(id: string, owner: string, signal: AbortSignal): Promise<void>;
  /** To be called for each accepted connection: `view` waits until its request is known. */
  markConnection(): void;
  /**
   * To be called as soon as a request arrives that may write to the upload: `view` waits until that request writes or has
   * ended.
   *
   * @returns a function to be called when the request writes, is refused or has ended.
   */
  markComing(id: string): () => void;
  /**
   * Receives a whole file in one request, for forms that cannot be resumed. The file is published, or nothing of it is
   * kept.
   */
  receiveWhole(request: WholeRequest, source: Readable, signal: AbortSignal): Promise<Published>;
}

export interface OpenOptions {
  /** Ends the waiting. A writer that is open already stays open. */
  signal: AbortSignal;
  /**
   * Where the caller wants to write. An offset below the committed one can never become right: it is refused, and a
   * running writer is not disturbed.
   */
  offset?: number | undefined;
}

export interface Published {
  file: FileView;
  /** The owner had a file of these bytes before, and `INSTANT` allows to say so. */
  wasHere: boolean;
}

export interface CheckQuery {
  owner: string;
  md5: string;
  size?: number;
  sha256?: string;
  /** With it, a content that exists becomes a file of the owner by this name. */
  filename?: string;
  /** Of that file. */
  onConflict?: OnConflict;
  /** The owner wants to prove that they have the content, of which `size` and `sha256` are given. */
  isToProve?: true;
}

export type CheckResult =
  /**
   * The service has the content, and the owner has it too. `file` is the owner's; null while there is none: the owner has
   * proved to have the content, and gave no name.
   */
  | { status: 'exists'; content: ContentView; file: FileView | null }
  /** `uploading`: bytes of an upload of the owner's arrived within the last 30 seconds. */
  | { status: 'notfound' | 'uploading'; resume: ResumePoint | null; challenge?: Challenge };

/** A proof that an owner has the bytes of a content. */
export interface ProofQuery extends Claim {
  /** With it, the content becomes a file of the owner by this name. */
  filename?: string;
  /** Of that file. */
  onConflict?: OnConflict;
  /** Of the challenge. */
  token: string;
  /** One for each of its ranges, in their order: see `beginCode`. */
  codes: readonly string[];
}

/** An unfinished upload of the asking owner. */
export interface ResumePoint {
  uploadId: string;
  offset: number;
  length: number | null;
  idleSeconds: number;
}

/** How an address or an older API names a content: by digest; `variant` only with an MD5. */
export interface ContentName {
  algorithm: 'md5' | 'sha1' | 'sha256';
  digest: string;
  variant: number;
}

/** A digest, as a client computes it: `variant` null where it says no more. */
export type DigestName = Omit<ContentName, 'variant'> & { variant: number | null };

/** A file, or a content without a file: it says which bytes. */
export type HasContent = Pick<FileView, 'content'>;

/** One page of an owner's files. */
export interface FileViewPage {
  readonly files: readonly FileView[];
  /** Where the next page begins; null on the last one. */
  readonly nextCursor: string | null;
}

/** The most files of one archive. */
export const MOST_ARCHIVED = 100_000;

/** Several files as one ZIP file, whose bytes are stored, not compressed. */
export interface Archive {
  /** Bytes. */
  readonly size: number;
  /** The version of these bytes, for caches and for those who resume: the same files, in the same order, with the same names. */
  readonly version: string;
  /**
   * Makes its bytes while they are read. Fails before the last of them where a file is gone, or its bytes are not those of its
   * MD5 any more: a reader never gets a whole archive of them.
   */
  open(range: ByteRange | undefined): Readable;
}

/** What an owner has packed. */
export interface OwnArchive {
  readonly ids: readonly string[];
  /** Their paths. */
  readonly folders: readonly string[];
  readonly within?: string | undefined;
}

/** A file in an archive. Where several have one name, the others get a number. */
export interface PackedFile {
  readonly id: string;
  /** May be a path. */
  readonly name: string;
  readonly size: number;
  readonly uploadedAt: number;
}

/** The most folders that are named for one archive: each is listed for itself. */
export const MOST_FOLDERS_ARCHIVED = 1_000;

export interface Archives {
  /**
   * @param ids - of the files, in the order of the archive. One that is there several times counts once.
   * @param owner - null: files of any owner.
   * @param asker - to whom names are told: of another owner's file the last part alone.
   * @throws `invalid_field`, `not_found`; both with the field `id`.
   */
  prepare(ids: readonly string[], owner: string | null, asker: string): Promise<Archive>;
  /** How many files are below these folders: their archive takes memory in proportion to that. @throws as `prepareOwn`. */
  countBelow(folders: readonly string[], owner: string): Promise<number>;
  /**
   * All files below these folders, and then these files, of one owner; each of them once. Those of a folder are what it has at one
   * moment.
   *
   * @param asked.within - names in the archive are paths from this folder; '': whole paths. Undefined: from the folder itself, where
   *   it is the only thing that is asked for.
   * @throws `invalid_field`, `not_found`; both with the field `folder`, `id` or `within`.
   */
  prepareOwn(asked: OwnArchive, owner: string): Promise<Archive>;
  /** What an owner shares, in this order; a file may be there several times. @throws `invalid_field`; `not_found` where it is nothing. */
  prepareShared(shared: readonly PackedFile[], owner: string): Promise<Archive>;
}

/** One level of a folder. */
export interface FolderViewPage extends FileViewPage {
  readonly folders: readonly FolderRecord[];
}

/** What a request has deleted of a folder. `deletion`: what all of it is called in the trash, where there is one. */
export interface DeletedFolder {
  files: number;
  bytes: number;
  nextCursor: string | null;
  deletion?: string;
}

/** An owner's folders, each by its path. @throws `not_found` where the owner has none there; `invalid_field`. */
export interface Folders {
  get(path: string, owner: string): Promise<FolderRecord>;
  /** What is in a folder; with an empty path, at the top. */
  list(query: {
    owner: string;
    folder: string;
    limit: number;
    sort: FileSort;
    descending: boolean;
    cursor?: string;
  }): Promise<FolderViewPage>;
  /** All files below it, folder by folder. A page may end early; `nextCursor` tells. */
  listBelow(query: { owner: string; folder: string; limit: number; cursor?: string }): Promise<FileViewPage>;
  /** Moves a folder, with all below it. @throws `folder_exists` where there is one at the new path. */
  move(path: string, owner: string, to: string): Promise<FolderRecord>;
  /**
   * Deletes the files below it that were there at the start: the request without a cursor. Ends after some seconds; `nextCursor`
   * tells where to continue.
   *
   * @param signal - aborted when the asker is gone: nothing more is deleted then.
   * @returns how many files this request has deleted, and their sizes together.
   * @throws the reason of `signal`.
   */
  remove(request: { path: string; owner: string; cursor?: string; signal: AbortSignal }): Promise<DeletedFolder>;
}

export interface Files {
  /** What has any of these names, `MOST_NAMES_ASKED` at most. @throws `invalid_field` with the field `names`. */
  findNamed(names: readonly string[], owner: string): Promise<NamedFile[]>;
  check(query: CheckQuery): Promise<CheckResult>;
  /**
   * What a check answers to an owner who proves to have the content, whoever sent it.
   *
   * @throws `invalid_field` where the proof does not belong to a challenge that was issued for this owner and content.
   */
  prove(query: ProofQuery): Promise<CheckResult>;
  list(query: {
    owner: string;
    limit: number;
    sort: FileSort;
    descending: boolean;
    search?: string;
    cursor?: string;
  }): Promise<FileViewPage>;
  /** Number and total size of the owner's files. */
  totalOf(owner: string): Promise<OwnerTotal>;
  /** A file by its id; with `owner` null, of any owner. @throws `not_found`, as all methods below. */
  get(id: string, owner: string | null): Promise<FileView>;
  /**
   * One of the owner's files of this content. Contents that only others have do not count; `not_found` also where the owner has
   * several contents of this digest.
   */
  find(name: DigestName, owner: string, which: 'oldest' | 'latest'): Promise<FileView>;
  /** The content itself, whichever owners have files of it. */
  findContent(name: ContentName): Promise<ContentView>;
  rename(id: string, owner: string, name: string): Promise<FileView>;
  remove(id: string, owner: string): Promise<FileView>;
  /** @throws `content_damaged` when a file's bytes are gone or have another size; as the two methods below. */
  requireBytes(file: HasContent): Promise<void>;
  /**
   * A presigned address of a file's bytes in the store. It does not check who asks: the caller does that before. Null
   * where the service delivers the bytes itself, by `open`.
   *
   * @param shown - headers of the answer at that address.
   */
  addressOf(file: HasContent, shown: { type: string; disposition: string }): Promise<string | null>;
  /**
   * Opens a file's bytes; the stream delivers to its end even if the file is deleted meanwhile.
   *
   * @param signal - aborted when the asker is gone.
   */
  open(file: HasContent, range: ByteRange | undefined, signal: AbortSignal): Promise<Readable>;
}
