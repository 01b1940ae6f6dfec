/**
 * The store: where bytes live. Every store runs the same contract suite.
 *
 * What must hold:
 * - An offset handed to `commit` is durable: the bytes before it, from byte 0 and
 *   without a hole, survive the death of the process and a power cut.
 * - `writeUpload` ends with a commit of everything it stored, also when the source
 *   breaks or the signal is aborted: what arrived is kept.
 * - `finalize` is idempotent and survives a power cut once resolved; bytes under a
 *   key never change afterwards, but to be healed.
 * - `discardUpload` and `removeContent` are idempotent: what is not there is not an error.
 *   What `removeContent` has removed stays removed after a power cut.
 * - Errors leave as StoreError, with the cause kept.
 *
 * Offsets and sizes are bytes.
 */
import type { Readable } from 'node:stream';
import type { DigestPool, DigestSet } from './digests/digests.ts';

/** What a store can do; the service advertises protocol extensions by it. */
export interface Capabilities {
  /** Takes uploads whose length is declared later (tus: creation-defer-length). */
  readonly deferLength: boolean;
  /** Unfinished bytes can be removed (tus: termination). */
  readonly terminate: boolean;
  /** `listUnfinished` names what is in the store, so that strays can be swept. */
  readonly listUnfinished: boolean;
  /** `listContents` names all final bytes, so that those of no content can be told of. */
  readonly listContents: boolean;
  /** `addressOf` gives out addresses at which final bytes can be had without the service. */
  readonly address: boolean;
  /**
   * `storeState` names bytes: it is needed until they are discarded, also after the publication, and the row that has
   * it must be durable before the next write. Where it does not, nothing of it matters once the upload is published.
   */
  readonly stateNamesBytes: boolean;
}

/** What a store knows of an upload: its row in the catalog, as of its last commit. */
export interface StoredUpload {
  readonly id: string;
  readonly size: number | null;
  readonly offset: number;
  readonly snapshot: Uint8Array | null;
  /** What the store keeps of it: its last commit's; no one else reads it. */
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

/** What was committed, for stores that need all parts at the end, or must not act before a row is there for good. */
export interface Ledger {
  /** Of one upload, in order. */
  parts(uploadId: string): Promise<readonly StoredPart[]>;
  /** Resolves when everything that was committed before, the rows of uploads included, survives a power cut. */
  durable(): Promise<void>;
  /** Those of these keys, 100 at most, that a content has. */
  contentKeys(keys: string[]): Promise<ReadonlySet<string>>;
}

/** `storeState` of an upload that has ended and of which the store never noted anything: something may be there. */
export const NOTHING_NOTED = '';

/**
 * What the catalog does not know may be another's, or the catalog an older copy: it is kept until it is as old as this.
 */
export const UNKNOWN_MS = 7 * 24 * 3_600_000;

/**
 * Of bytes that are under the upload's own key already, where the store has such a key: `keep`
 * where a content has them, `remove` where none has. `unknown`: the catalog does not know the
 * upload; only what is older than `UNKNOWN_MS` goes, and no final bytes.
 */
export type Discarding = 'keep' | 'remove' | 'unknown';

/** What a store needs to know of an upload to remove what it left. */
export type DiscardedUpload = Pick<StoredUpload, 'id' | 'storeState'>;

/** Bytes up to `offset` are durable; `snapshot` is the digest state there. */
export interface Commit {
  offset: number;
  snapshot: Uint8Array;
  /** Replaces what the store kept before; null where it is left out. */
  storeState?: string | null;
  part?: StoredPart;
  /**
   * The caller may leave it out when the upload is published at once: once `finalize` has
   * been through, `recoverUpload` establishes the same, and before that nothing was told.
   * To record it all the same, after a failure, it calls this first, which makes durable what
   * `finalize` would have.
   */
  optional?: () => Promise<void>;
  /** Of a recovery: the upload is whole with these bytes, also where the catalog has no length of it. */
  wholeSize?: number;
}

/**
 * Takes in what has come by now, also what the kernel holds of it, and commits it, without ending the write. Where
 * nothing came since the last commit, nothing is stored or synced. A store that commits in large pieces may leave
 * out what comes faster than it can be caught up with: such a sender is there. What fails
 * ends the write; it rejects only when the catalog cannot be made durable.
 *
 * @returns `ending` when the source has ended, or the write will for another reason: its end commits.
 */
export type Flush = () => Promise<'committed' | 'ending'>;

export interface WriteOptions {
  digests: DigestPool;
  /** Records progress in the ledger. A rejection (a lost lease, say) ends the write. */
  commit: (commit: Commit) => Promise<void>;
  /** Stop reading, commit what arrived, return. */
  signal: AbortSignal;
  /** Told of bytes as they come, which may be long before they are committed. */
  onArrival?: () => void;
  /** Told, once the source is read, how to have the write commit what has come. */
  onReading?: (flush: Flush) => void;
  /**
   * Bytes this request may add; one more is StoreError `overflow`, after a commit of what came before. The
   * last ones count once the source has ended: a source with too much never makes an upload whole.
   */
  maxBytes: number;
}

export interface Written {
  offset: number;
  /** Digests of bytes 0 to `offset`, by algorithm; only when `offset` is the upload's size. */
  digests: DigestSet | null;
  /** Why the source ended early, when it did. */
  interrupted: unknown;
}

export interface ByteRange {
  /** First byte. */
  start: number;
  /** Last byte, inclusive. */
  end: number;
}

/** How an address hands out final bytes. */
export interface AddressOptions {
  /** Content-Type of the answer. */
  type: string;
  /** Its Content-Disposition. */
  disposition: string;
  /** How long the address holds; whole seconds. */
  lifeMs: number;
}

/** Where a store's bytes are, which belongs to one catalog: the mark says to which. This much can be asked of it while the store is not open. */
export interface ClosedPlace {
  readonly kind: 'folder' | 'bucket';
  /** For people: a folder's path, a bucket and its prefix. */
  readonly name: string;
  /** The settings that say which one it is. */
  readonly settings: string;
  /** The id of its catalog; undefined where it was never marked. */
  readMark(): Promise<string | undefined>;
}

export interface Place extends ClosedPlace {
  /**
   * Survives a power cut once resolved.
   *
   * @param replaced - the mark that is there, which this one replaces; undefined: there is none.
   * @throws StoreError `unavailable` where another service has marked it in the meantime.
   */
  writeMark(id: string, replaced: string | undefined): Promise<void>;
  /** Whether there are bytes of uploads or contents. */
  hasBytes(): Promise<boolean>;
}

export interface Store {
  readonly name: string;
  readonly capabilities: Capabilities;
  /** Null: it is not marked, as it lives no longer than its catalog. */
  readonly place: Place | null;

  /** Makes room for a new upload. */
  createUpload(upload: StoredUpload): Promise<void>;
  /** Appends the source at the upload's offset. */
  writeUpload(source: Readable, upload: StoredUpload, options: WriteOptions): Promise<Written>;
  /**
   * After a crash: establishes what is durably stored, which is never less than
   * `upload.offset`, and the digest state there. Null when nothing differs from
   * the catalog.
   *
   * @throws StoreError `missing` when bytes that were committed are gone.
   */
  recoverUpload(upload: StoredUpload, digests: DigestPool, signal: AbortSignal): Promise<Commit | null>;
  /**
   * The bytes of a complete upload, to compare them with a content's. Null when an
   * interrupted publication has made them final already: then they are unlike any
   * content that is in the catalog.
   */
  readUpload(upload: StoredUpload): Promise<Readable | null>;
  /** Removes an upload's unfinished bytes, also after its publication. */
  discardUpload(upload: DiscardedUpload, final: Discarding): Promise<void>;
  /** Ids of uploads that have unfinished bytes, be it one; only with capability `listUnfinished`. */
  listUnfinished(): AsyncIterable<string>;

  /** The key under which an upload's bytes become final. Variant: see the catalog's contents. */
  keyFor(upload: StoredUpload, content: { md5: string; variant: number }): string;
  /**
   * Makes the bytes of a complete upload final under `key`. Where the store can, the
   * upload keeps its own until `discardUpload`, so that nothing that happens to `key`
   * before the publication is recorded can cost them.
   *
   * @throws StoreError `occupied` when other bytes are there, `missing` when the upload's are gone.
   */
  finalize(upload: StoredUpload, key: string): Promise<void>;
  /**
   * Puts the bytes of a complete upload in the place of those that a content has lost: what is
   * under `key` is gone or damaged. Idempotent; there is no moment at which `key` has neither
   * the old bytes nor the new ones, and streams that are open keep the old ones. The upload
   * keeps its own until `discardUpload`.
   *
   * @returns the key that has them: `key`, or the upload's own.
   * @throws StoreError `missing` when the upload's are gone.
   */
  heal(upload: StoredUpload, key: string): Promise<string>;
  /**
   * Opens final bytes, or a range that lies within them. Once resolved the stream
   * delivers to its end even when the key is removed meanwhile, or breaks off with an
   * error: it never ends early as if it were whole.
   *
   * @param signal - ends the opening; the caller destroys the stream.
   * @param size - of all bytes under the key, where the caller knows it: others are not opened.
   * @throws StoreError `missing`, also for bytes of another size.
   */
  readContent(key: string, range?: ByteRange, signal?: AbortSignal, size?: number): Promise<Readable>;
  /**
   * An address at which anyone who has it can read final bytes, with GET and ranges, for
   * a while. It is a secret: no log may hold it. Only with capability `address`.
   */
  addressOf(key: string, options: AddressOptions): Promise<string>;
  /**
   * Size of final bytes; undefined when there are none.
   *
   * @throws StoreError `unavailable` when they only cannot be seen now.
   */
  contentSize(key: string): Promise<number | undefined>;
  /** Keys that have final bytes, of a content or not; only with capability `listContents`. */
  listContents(): AsyncIterable<string>;
  /**
   * Removes final bytes.
   *
   * @param isRetry - an earlier removal may have been cut short. Where nothing is there any more, that, too, is made durable.
   */
  removeContent(key: string, isRetry?: boolean): Promise<void>;

  /** Answers when the store can take bytes, else throws StoreError. */
  probe(): Promise<void>;
  close(): Promise<void>;
}

/** The contents of a store that may not be open: they can be read, and nothing is changed. */
export interface ContentReader extends Pick<Store, 'readContent'> {
  close(): Promise<void>;
}

/**
 * - `missing`: the bytes are not there.
 * - `occupied`: other bytes have this key.
 * - `full`: no room; what was committed stays.
 * - `overflow`: the source had more than `maxBytes`.
 * - `unavailable`: cannot be reached or is not writable now.
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
