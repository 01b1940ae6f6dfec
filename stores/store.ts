/**
 * The store: where bytes live. Every store runs the same contract suite.
 *
 * What must hold:
 * - An offset passed to `commit` is durable: the bytes before it, from byte 0 and
 *   without a hole, survive the death of the process and a power cut.
 * - `writeUpload` ends with a commit of everything it stored, also when the source
 *   breaks or the signal is aborted: what arrived is kept. A write with a `verification` is atomic instead.
 * - `finalize` is idempotent, and its result survives a power cut once it has resolved. Bytes under a
 *   key never change afterwards; only `heal` replaces lost or damaged ones. The same holds for `storeAtOnce`.
 * - `discardUpload` and `removeContent` are idempotent: that there is nothing to remove is not an error.
 *   What `removeContent` has removed stays removed after a power cut.
 * - Errors leave as StoreError, with the cause kept.
 *
 * Offsets and sizes are bytes.
 */
import type { Readable } from 'node:stream';
import type { DigestPool, DigestSet } from './digests/digests.ts';

/** What a store can do. The service advertises the protocol extensions that its store supports. */
export interface Capabilities {
  /** Accepts uploads whose length is declared later (tus: creation-defer-length). */
  readonly deferLength: boolean;
  /** Can remove unfinished bytes (tus: termination). */
  readonly terminate: boolean;
  /** `listUnfinished` lists all unfinished uploads in the store, so that jobs can remove strays. */
  readonly listUnfinished: boolean;
  /** `listContents` lists all final bytes, so that a job can report those that belong to no content. */
  readonly listContents: boolean;
  /** `addressOf` returns addresses at which clients can download final bytes without the service. */
  readonly address: boolean;
  /**
   * `storeState` names bytes. So it is needed until these are discarded, also after the publication, and its row must be
   * durable before the next write. False: it does not matter any more once the upload is published.
   */
  readonly stateNamesBytes: boolean;
  /** `storeAtOnce` stores the bytes of a small upload under their final key at once. */
  readonly atOnce: boolean;
}

/** What a store knows of an upload: its row in the catalog, as of its last commit. */
export interface StoredUpload {
  readonly id: string;
  readonly size: number | null;
  readonly offset: number;
  readonly snapshot: Uint8Array | null;
  /** The store's note, from its last commit; only the store reads it. */
  readonly storeState: string | null;
  readonly filename: string | null;
  readonly filetype: string | null;
}

export interface StoredPart {
  number: number;
  start: number;
  size: number;
  etag: string;
  snapshot: Uint8Array;
}

/** What stores need from the catalog: all committed parts at the end, and that a row is durable before they act. */
export interface Ledger {
  /** The parts of an upload, in order. */
  parts(uploadId: string): Promise<readonly StoredPart[]>;
  /** Resolves when everything that was committed before the call, rows of uploads included, survives a power cut. */
  durable(): Promise<void>;
  /** Those of these keys, 100 at most, that a content has. */
  contentKeys(keys: string[]): Promise<ReadonlySet<string>>;
}

/** `storeState` of an upload that has ended and of which the store noted nothing: the store may still have bytes of it. */
export const NOTHING_NOTED = '';

/**
 * How long bytes are kept that the catalog does not know: they may belong to another service, or the catalog may be an
 * older copy.
 */
export const UNKNOWN_MS = 7 * 24 * 3_600_000;

/**
 * What happens to final bytes under the upload's own key, in stores that have such keys. `keep`: a content has them.
 * `remove`: no content has them. `unknown`: the catalog does not know the upload; only unfinished bytes that are older
 * than `UNKNOWN_MS` are removed.
 */
export type Discarding = 'keep' | 'remove' | 'unknown';

/** What a store needs to know of an upload to remove what it left. */
export type DiscardedUpload = Pick<StoredUpload, 'id' | 'storeState'>;

/** Bytes up to `offset` are durable; `snapshot` is the digest state there. */
export interface Commit {
  offset: number;
  snapshot: Uint8Array;
  /** Replaces the store's note; left out, the note becomes null. */
  storeState?: string | null;
  /** Parts to be recorded together with the offset. */
  parts?: readonly StoredPart[];
  /**
   * The caller need not record this commit when it publishes the upload at once: after `finalize`, `recoverUpload` finds
   * the same offset, and before it no client has been told of these bytes. Where the caller records the commit after all,
   * because the publication failed, it has to call this function first: it makes durable what `finalize` would have.
   */
  optional?: () => Promise<void>;
  /** After a recovery: the upload is complete with these bytes, though the catalog may have lost its length. */
  wholeSize?: number;
}

/**
 * Commits all bytes that have arrived, those in the kernel's buffers included, without ending the write. Where none
 * arrived since the last commit, it stores and syncs nothing. A store that commits in large pieces may leave out bytes
 * that keep arriving: such a sender is connected. A failure ends the write, and shows there; the flush itself rejects only
 * when the catalog cannot be made durable.
 *
 * @returns `ending` when the write is ending, because its source has ended or for another reason: its end commits.
 */
export type Flush = () => Promise<'committed' | 'ending'>;

/**
 * What decides whether the bytes of an atomic write count. Such a write is committed as a whole, or not at all: nothing of it
 * is committed before its source has ended and the verification has passed, and then one commit has all of it. Until then,
 * whatever happens, the upload keeps its offset and its bytes, and no recovery finds bytes of the write. A flush commits
 * nothing.
 *
 * Where the source breaks, has too many bytes, or the signal is aborted, the write ends as any other, without a commit.
 */
export interface Verification {
  /** Called with each chunk, in order, as it arrives. */
  update(chunk: Uint8Array): void;
  /** Called once the source has ended. Where it throws, the write throws the same, and nothing of it counts. */
  verify(): void;
}

export interface WriteOptions {
  digests: DigestPool;
  /** Records progress in the ledger. Where it rejects, because the lease is lost for example, the write ends. */
  commit: (commit: Commit) => Promise<void>;
  /** Ends the write: it stops reading, commits what arrived, and returns. */
  signal: AbortSignal;
  /** Called when bytes arrive, which may be long before they are committed. */
  onArrival?: () => void;
  /** Called once the store reads the source, with the function by which the write commits what has arrived. */
  onReading?: (flush: Flush) => void;
  /**
   * How many bytes the source may have. With more, the write throws StoreError `overflow`, after it has committed what came
   * before. The bytes that reach this number are stored once the source has ended: so a source with too many bytes never
   * completes an upload.
   */
  maxBytes: number;
  /** Makes the write atomic. */
  verification?: Verification | undefined;
}

/** How the bytes of other uploads are appended: there is no source that breaks or brings too many bytes. */
export type JoinOptions = Pick<WriteOptions, 'digests' | 'commit' | 'signal'>;

export interface Written {
  offset: number;
  /** Digests of bytes 0 to `offset`, by algorithm; only when `offset` is the upload's size. */
  digests: DigestSet | null;
  /** Why the source ended early, when it did. */
  interrupted: unknown;
}

/** A content, and what the store saw of its bytes when they were found right. */
export interface SealedContent {
  key: string;
  md5: string;
  size: number;
  seal: string | null;
}

export interface ByteRange {
  /** First byte. */
  start: number;
  /** Last byte, inclusive. */
  end: number;
}

/** What the answer at a presigned address looks like, and how long the address is valid. */
export interface AddressOptions {
  /** Content-Type of the answer. */
  type: string;
  /** Its Content-Disposition. */
  disposition: string;
  /** How long the address is valid; whole seconds. */
  lifeMs: number;
}

/** The place of a store's bytes. It belongs to one catalog, whose id its mark has. For a store that is not open. */
export interface ClosedPlace {
  readonly kind: 'folder' | 'bucket';
  /** For people: a folder's path, a bucket and its prefix. */
  readonly name: string;
  /** The names of the settings that select it. */
  readonly settings: string;
  /** Reads the id of its catalog; undefined where it was never marked. */
  readMark(): Promise<string | undefined>;
}

/** The place of an open store. */
export interface Place extends ClosedPlace {
  /**
   * Writes the mark. It survives a power cut once this has resolved.
   *
   * @param replaced - the present mark, which this one replaces; undefined: there is none.
   * @throws StoreError `unavailable` where another service has marked it in the meantime.
   */
  writeMark(id: string, replaced: string | undefined): Promise<void>;
  /** Whether there are bytes of uploads or contents. */
  hasBytes(): Promise<boolean>;
}

export interface Store {
  readonly name: string;
  readonly capabilities: Capabilities;
  /** Null: it has no mark, as it lives no longer than its catalog. */
  readonly place: Place | null;

  /** Makes room for a new upload. */
  createUpload(upload: StoredUpload): Promise<void>;
  /** Appends the source at the upload's offset. */
  writeUpload(source: Readable, upload: StoredUpload, options: WriteOptions): Promise<Written>;
  /**
   * Appends the bytes of other uploads, one after the other, from the upload's offset on: where an earlier attempt has
   * stopped. Each of them has all its bytes, and the upload's size is that of all together. They keep their bytes, and one may
   * be there several times. A store may take them over instead of copying them.
   *
   * @returns as `writeUpload`; where it is interrupted by StoreError `missing`, the bytes of one of the others are gone.
   */
  joinUploads(upload: StoredUpload, partials: readonly StoredUpload[], options: JoinOptions): Promise<Written>;
  /**
   * After a crash: finds out how many bytes are durably stored, which are never fewer than
   * `upload.offset`, and the digest state there. Null when the catalog has the same.
   *
   * @throws StoreError `missing` when bytes that were committed are gone.
   */
  recoverUpload(upload: StoredUpload, digests: DigestPool, signal: AbortSignal): Promise<Commit | null>;
  /**
   * Opens the bytes of a complete upload, to compare them with a content's. Null when an interrupted publication has made
   * them final already: then that publication has found that they differ from every content in the catalog.
   */
  readUpload(upload: StoredUpload): Promise<Readable | null>;
  /** Removes an upload's unfinished bytes, also after its publication. */
  discardUpload(upload: DiscardedUpload, final: Discarding): Promise<void>;
  /** Ids of all uploads that have unfinished bytes; only with capability `listUnfinished`. */
  listUnfinished(): AsyncIterable<string>;

  /** The key under which an upload's bytes become final. Variant: see the catalog's contents. */
  keyFor(upload: StoredUpload, content: { md5: string; variant: number }): string;
  /**
   * Makes the bytes of a complete upload final under `key`. Where the store can, it also keeps the upload's own bytes until
   * `discardUpload`: so they are not lost, whatever happens to `key` before the publication is recorded.
   *
   * @throws StoreError `occupied` when other bytes have the key, `missing` when the upload's are gone.
   */
  finalize(upload: StoredUpload, key: string): Promise<void>;
  /**
   * Stores all bytes of an upload of which nothing is stored yet, under `key`: there are no unfinished bytes at any time. A
   * crash before it has resolved may leave a part of them under `key`, which `finalize` replaces, as it is not what the
   * key's digest says. Only with capability `atOnce`.
   *
   * @throws StoreError `occupied` when there is something under `key`. After any other error nothing is there, or such a part.
   */
  storeAtOnce(upload: StoredUpload, key: string, chunks: readonly Uint8Array[]): Promise<void>;
  /**
   * Puts the bytes of a complete upload in the place of a content's, which are gone or damaged. Idempotent. At every moment
   * `key` has the old bytes or the new ones, and open streams keep the old ones. The store keeps the upload's own bytes
   * until `discardUpload`.
   *
   * @returns the key that has the bytes now: `key`, or the upload's own.
   * @throws StoreError `missing` when the upload's are gone.
   */
  heal(upload: StoredUpload, key: string): Promise<string>;
  /**
   * Makes sure, without reading them, that a content's bytes are those of a complete upload, which are equal to what they were:
   * puts the upload's in their place, under the same key, or finds that nobody has changed them.
   *
   * @returns `isSound`: false where it cannot tell. Then the caller reads them, and keeps the `seal` once they are right: by
   *   it the store can tell next time. Null: there is none.
   */
  assure(upload: StoredUpload, content: SealedContent): Promise<{ isSound: boolean; seal: string | null }>;
  /**
   * Opens final bytes, or a range within them. An open stream delivers to its end even when the key is removed meanwhile,
   * or it fails with an error: it never ends early without one.
   *
   * @param signal - aborts the opening; an open stream is destroyed by the caller.
   * @param size - the expected size of all bytes under the key, where the caller knows it.
   * @throws StoreError `missing`, also for bytes of another size.
   */
  readContent(key: string, range?: ByteRange, signal?: AbortSignal, size?: number): Promise<Readable>;
  /**
   * A presigned address: anyone who has it can read the final bytes for a limited time, with GET and ranges. It is a secret
   * that must not be logged. Only with capability `address`.
   */
  addressOf(key: string, options: AddressOptions): Promise<string>;
  /**
   * Size of final bytes; undefined when there are none.
   *
   * @throws StoreError `unavailable` when the store cannot say now.
   */
  contentSize(key: string): Promise<number | undefined>;
  /** Keys that have final bytes, of a content or not; only with capability `listContents`. */
  listContents(): AsyncIterable<string>;
  /**
   * Removes final bytes.
   *
   * @param isRetry - an earlier removal may have been interrupted: makes it durable also where the bytes are gone already.
   */
  removeContent(key: string, isRetry?: boolean): Promise<void>;

  /** Checks that the store can store bytes now. @throws StoreError. */
  probe(): Promise<void>;
  close(): Promise<void>;
}

/** The contents of a store that may not be open: they can be read, and nothing is changed. */
export interface ContentReader extends Pick<Store, 'readContent'> {
  close(): Promise<void>;
}

/**
 * - `missing`: the bytes do not exist.
 * - `occupied`: other bytes have this key.
 * - `full`: no room; committed bytes stay.
 * - `overflow`: the source had more than `maxBytes`.
 * - `unavailable`: the store cannot be reached, or is not writable now.
 * - `failed`: anything else.
 */
export type StoreErrorCode = 'missing' | 'occupied' | 'full' | 'overflow' | 'unavailable' | 'failed';

export class StoreError extends Error {
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'StoreError';
    this.code = code;
  }
}
