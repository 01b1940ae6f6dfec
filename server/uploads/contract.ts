/**
 * What the service's edges may ask of the life of uploads and files, and what they see of them: views, never rows of
 * the catalog. All refusals are TidemarkError.
 */
import type { Readable } from 'node:stream';
import type { ByteRange } from '../../stores/store.ts';
import type { Declaration, FileSort, OwnerTotal, UploadState } from '../catalog/catalog.ts';
import type { Writer } from './writer.ts';

/** For tickets, which stand in no row. */
export type { CatalogClock } from '../catalog/catalog.ts';

export type { Declaration } from '../catalog/catalog.ts';

/** How long an ended upload is told of as ended; after that it is not found. */
export const REMEMBER_ENDED_MS = 7 * 24 * 3_600_000;

/** An upload as the edges see it. Times are milliseconds since the epoch. */
export interface UploadView {
  readonly id: string;
  readonly state: UploadState;
  /** Committed bytes: durably stored, in order, from byte 0. */
  readonly offset: number;
  /** Null while it is deferred. */
  readonly size: number | null;
  /** As it was declared; null where none was. */
  readonly filename: string | null;
  /** What the edge that began it noted, as it was. */
  readonly metadata: string;
  /** The file it became, once complete. */
  readonly fileId: string | null;
  readonly createdAt: number;
  /** How long ago, as it was read, bytes last came, stored or not; since it was begun, while none have. */
  readonly idleMs: number;
  readonly expiresAt: number;
  /** How long it still lived as it was read; by then it had expired where this is not above 0. */
  readonly leftMs: number;
}

/** A content as the edges see it; digests that its asker is not to learn are null. */
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
  /** Checks what the client declares and records a new upload with room in the store. */
  begin(request: BeginRequest): Promise<UploadView>;
  /**
   * As `begin`, for bytes that come with the same request: its answer waits for them, so that the beginning need not be
   * durable before. The writer is to be released.
   */
  beginWriting(request: BeginRequest): Promise<Writer>;
  /**
   * An upload's state, for its owner: of one row. Never ends a running transfer, but has it commit first what has
   * come (for a while: then it tells less); an upload that has all its bytes but no publication is published
   * first. Its last byte is the last that came, stored or not.
   *
   * @param options.often - it is asked again and again: while bytes keep coming, what was committed lately is enough.
   * @throws `not_found`, or `upload_expired`, `upload_rejected`, `upload_terminated`.
   */
  view(id: string, owner: string, options?: { often?: boolean }): Promise<UploadView>;
  /** An upload as the catalog has it, for its owner. @throws as `view`. */
  current(id: string, owner: string): Promise<UploadView>;
  /**
   * The right to write, for the upload's owner; asks a running writer to stop. What a crash left beyond the last
   * commit has been recovered once this resolves. To be released.
   *
   * @throws as `view`; `offset_conflict`; `upload_locked` after the lock timeout; `upload_taken_over`.
   */
  open(id: string, owner: string, options: OpenOptions): Promise<Writer>;
  /** A connection was accepted: `view` waits for what it is to bring. */
  markConnection(): void;
  /**
   * A request that may write to the upload has come: `view` waits for what it is to bring. To be called at once when
   * the request comes; what it returns, when the request has ended, or is refused.
   */
  markComing(id: string): () => void;
  /**
   * Takes a whole file in one go, for forms that cannot be resumed: published, or
   * nothing is left behind.
   *
   * @param request - with `reuseFile`, a file of the owner with this name and these bytes is not made twice.
   */
  receiveWhole(
    request: { owner: string; declaration: Declaration; reuseFile: boolean },
    source: Readable,
    signal: AbortSignal,
  ): Promise<Published>;
}

export interface OpenOptions {
  /** Aborted when the writer is not wanted any more; one that is held stays. */
  signal: AbortSignal;
  /**
   * From where the caller means to write. Where bytes are committed beyond it, it is refused, and a running writer not
   * disturbed: that offset stays wrong.
   */
  offset?: number | undefined;
}

export interface Published {
  file: FileView;
  /** The owner had a file of these very bytes before, and may be told so (`INSTANT`). */
  wasHere: boolean;
}

export interface CheckQuery {
  owner: string;
  md5: string;
  size?: number;
  sha256?: string;
  /** With it, content that is here already becomes a file of the owner by this name. */
  filename?: string;
}

export type CheckResult =
  /** The content is here; `file` is the owner's, null while the owner has none of it (`INSTANT=all`). */
  | { status: 'exists'; content: ContentView; file: FileView | null }
  | { status: 'notfound'; resume: ResumePoint | null }
  /** Bytes of it arrived lately. */
  | { status: 'uploading'; resume: ResumePoint | null };

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

/** A file, or what is shown in its place: it names the bytes. */
export type HasContent = Pick<FileView, 'content'>;

/** One page of an owner's files. */
export interface FileViewPage {
  readonly files: readonly FileView[];
  /** Where the next page begins; null on the last one. */
  readonly nextCursor: string | null;
}

export interface Files {
  check(query: CheckQuery): Promise<CheckResult>;
  list(query: {
    owner: string;
    limit: number;
    sort: FileSort;
    descending: boolean;
    search?: string;
    cursor?: string;
  }): Promise<FileViewPage>;
  /** What the owner has altogether. */
  totalOf(owner: string): Promise<OwnerTotal>;
  /** @throws `not_found`, as do all below. Of anyone with owner null. */
  get(id: string, owner: string | null): Promise<FileView>;
  /** One of the owner's files of this content. */
  find(name: ContentName, owner: string, which: 'oldest' | 'latest'): Promise<FileView>;
  /** The content itself, whichever owners have files of it. */
  findContent(name: ContentName): Promise<ContentView>;
  rename(id: string, owner: string, name: string): Promise<FileView>;
  remove(id: string, owner: string): Promise<FileView>;
  /** @throws `content_damaged` when a file's bytes are gone or have another size; so do the two below. */
  requireBytes(file: HasContent): Promise<void>;
  /**
   * Where a client is to fetch a file's bytes, whatever the file's owner thinks of it: ask
   * first. Null where they are to be had from `open`.
   *
   * @param shown - what the answer there says of them.
   */
  addressOf(file: HasContent, shown: { type: string; disposition: string }): Promise<string | null>;
  /**
   * Opens a file's bytes; the stream delivers to its end even if the file is deleted meanwhile.
   *
   * @param signal - aborted when the asker is gone.
   */
  open(file: HasContent, range: ByteRange | undefined, signal: AbortSignal): Promise<Readable>;
}
