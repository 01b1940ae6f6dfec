/** The S3 store: uploads are multipart uploads in a bucket, contents are objects. */
import { setMaxListeners } from 'node:events';
import type { Readable } from 'node:stream';
import type { DigestPool } from '../digests/digests.ts';
import {
  type AddressOptions,
  type ByteRange,
  type Capabilities,
  type Commit,
  type DiscardedUpload,
  type Discarding,
  type JoinOptions,
  type Ledger,
  type Place,
  type Store,
  StoreError,
  type SealedContent,
  type StoredUpload,
  type WriteOptions,
  type Written,
} from '../store.ts';
import { type Surroundings, SYSTEM } from '../surroundings.ts';
import { askOverTime, isMissing } from './ask.ts';
import { type BufferPool, createBufferPool } from './buffers.ts';
import { bucketOf, setUpClient } from './client.ts';
import { openContent } from './content.ts';
import { discardFromBucket } from './discard.ts';
import { assureContent } from './assure.ts';
import { finalizeUpload } from './finalize.ts';
import { createGuard } from './guarded.ts';
import { joinObjects } from './join.ts';
import { createKeys, type Keys } from './keys.ts';
import { Library } from './library.ts';
import { createObjects, type Objects } from './objects.ts';
import { MOST_BYTES, choosePartSizes } from './part-sizes.ts';
import { createPlace } from './place.ts';
import { S3_PRESET } from './preset.ts';
import { doubt, recoverWhole } from './recover.ts';
import { createSender } from './sender.ts';
import type { Preset, S3Settings } from './settings.ts';
import { decodeState, finalKeyOf } from './state.ts';
import { appendToBucket, type Place as WritePlace } from './write.ts';

/** The share of the memory for parts. The rest is for chunks from sockets that are not garbage-collected yet. */
const SHARE_OF_PARTS = 7 / 8;

/** See `StoreSettings`. */
export interface BucketTime {
  now?: (() => number) | undefined;
  surroundings?: Surroundings | undefined;
}

/** Opens a store at AWS or another S3 provider. @throws StoreError `unavailable` when the bucket cannot be used. */
export function openS3Store(settings: S3Settings, ledger: Ledger, time?: BucketTime): Promise<Store> {
  return openBucketStore(S3_PRESET, settings, ledger, time);
}

/** Opens a store for a preset. @throws StoreError `unavailable` when the bucket cannot be used, saying why. */
export async function openBucketStore(
  preset: Preset,
  settings: S3Settings,
  ledger: Ledger,
  time: BucketTime = {},
): Promise<Store> {
  const store = new BucketStore(preset, settings, ledger, time);
  try {
    await store.probe();
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** The catalog keeps the state of uploads, the ledger their parts in the bucket; parts that are being sent are in memory. */
class BucketStore implements Store {
  readonly name: string;
  readonly capabilities: Capabilities;
  readonly place: Place;
  readonly #objects: Objects;
  readonly #guard: (upload: StoredUpload) => Objects;
  readonly #keys: Keys;
  readonly #buffers: BufferPool;
  readonly #partBytes: number;
  readonly #leastPartBytes: number;
  readonly #ledger: Ledger;
  readonly #now: () => number;
  /** Whether the bucket's host makes browsers save every file. */
  readonly #isSaving: boolean;
  readonly #library: Library;
  readonly #closing = new AbortController();
  readonly #closeConnections: () => void;
  /** By upload: the key under which this process has made its bytes final, until the upload is discarded. */
  readonly #final = new Map<string, string>();
  /** By key: the call that makes bytes final under it now. */
  readonly #finalizing = new Map<string, Promise<void>>();

  constructor(
    preset: Preset,
    settings: S3Settings,
    ledger: Ledger,
    { surroundings = SYSTEM, now = () => surroundings.wallMs() }: BucketTime,
  ) {
    const { config, agents, closeConnections } = setUpClient(preset, settings);
    this.#library = new Library(config);
    const client = this.#library.s3;
    const bucket = bucketOf(settings);
    // Every call adds a listener.
    setMaxListeners(0, this.#closing.signal);
    this.name = preset.name;
    this.#objects = createObjects(
      { client, sender: createSender(client, bucket, agents) },
      bucket,
      preset,
      this.#closing.signal,
      { surroundings, bucketName: settings.bucket },
    );
    this.#guard = createGuard(this.#objects);
    this.#keys = createKeys(settings.prefix);
    this.place = createPlace(settings, this.#objects, this.#keys);
    this.#buffers = createBufferPool(Math.floor(settings.bufferBytes * SHARE_OF_PARTS), surroundings);
    this.#partBytes = settings.partBytes;
    this.#leastPartBytes = preset.leastPartBytes;
    this.#ledger = ledger;
    this.#now = now;
    this.#closeConnections = closeConnections;
    this.#isSaving =
      settings.endpoint !== null && (preset.savingHosts?.test(new URL(settings.endpoint).hostname) ?? false);
    this.capabilities = {
      deferLength: this.#library.hasExtension('creation-defer-length'),
      terminate: this.#library.hasExtension('termination'),
      listUnfinished: true,
      listContents: false,
      address: true,
      stateNamesBytes: true,
      atOnce: false,
    };
  }

  async createUpload({ id, size }: StoredUpload): Promise<void> {
    // The multipart upload is begun with the first part.
    const partBytes = choosePartSizes(size, this.#partBytes).first;
    if ((size ?? 0) > MOST_BYTES || partBytes > this.#buffers.totalBytes) {
      throw new StoreError('overflow', `upload ${id}: its parts would be larger than S3_BUFFER_BYTES`);
    }
  }

  async writeUpload(source: Readable, upload: StoredUpload, options: WriteOptions): Promise<Written> {
    const written = await appendToBucket(source, upload, this.#writePlace(upload), options);
    if (written.wholeKey !== null) this.#final.set(upload.id, written.wholeKey);
    return written;
  }

  async joinUploads(upload: StoredUpload, partials: readonly StoredUpload[], options: JoinOptions): Promise<Written> {
    const joining = {
      objects: this.#objects,
      finalize: async (partial: StoredUpload) => {
        const key = this.keyFor(partial);
        await this.finalize(partial, key);
        return key;
      },
      place: this.#writePlace(upload),
    };
    const written = await joinObjects(upload, partials, joining, options);
    if (written.wholeKey !== null) this.#final.set(upload.id, written.wholeKey);
    return written;
  }

  #writePlace(upload: StoredUpload): WritePlace {
    return {
      objects: this.#guard(upload),
      keys: this.#keys,
      buffers: this.#buffers,
      partBytes: this.#partBytes,
      durable: () => this.#ledger.durable(),
    };
  }

  async recoverUpload(upload: StoredUpload, digests: DigestPool, signal: AbortSignal): Promise<Commit | null> {
    const { id, size, offset, storeState } = upload;
    const state = decodeState(storeState);
    if (state === null && offset > 0 && offset !== size) {
      throw new StoreError('missing', `upload ${id}: it is not known where its bytes are`);
    }
    // Otherwise only committed bytes count.
    const whole = await recoverWhole(this.#objects, this.keyFor(upload), { upload, state }, digests, signal);
    return whole ?? doubt(upload, this.#partBytes, digests);
  }

  async readUpload(upload: StoredUpload): Promise<Readable | null> {
    // Parts can only be read once they are one object. No file names its key yet, so that no client can see it.
    const key = this.keyFor(upload);
    await this.finalize(upload, key);
    return askOverTime(
      this.#objects.surroundings,
      `reading upload ${upload.id}`,
      async () => {
        try {
          return { found: await openContent(this.#objects, key) };
        } catch (error) {
          if (!isMissing(error)) throw error;
          return { evidence: 'it is not there', isSure: (await this.#objects.head(key)) === undefined };
        }
      },
      this.#closing.signal,
    );
  }

  async discardUpload(upload: DiscardedUpload, final: Discarding): Promise<void> {
    await discardFromBucket(upload, final, {
      objects: this.#objects,
      keys: this.#keys,
      ledger: this.#ledger,
      now: this.#now,
    });
    this.#final.delete(upload.id);
  }

  async *listUnfinished(): AsyncIterable<string> {
    let last: string | undefined;
    for await (const { key } of this.#objects.list(this.#keys.tails())) {
      const id = this.#keys.ownerOfTail(key);
      if (id === undefined || id === last) continue;
      last = id;
      yield id;
    }
    for await (const { key } of this.#objects.listMultiparts(this.#keys.prefix)) {
      const id = this.#keys.ownerOfFinal(key);
      if (id !== undefined && id !== last) yield (last = id);
    }
  }

  async *listContents(): AsyncIterable<string> {
    // Not called without the capability.
  }

  keyFor({ id, storeState }: Pick<StoredUpload, 'id' | 'storeState'>): string {
    return finalKeyOf(this.#keys, id, decodeState(storeState));
  }

  async finalize(upload: StoredUpload, key: string): Promise<void> {
    if (key !== this.keyFor(upload)) {
      throw new StoreError('occupied', `${key} is not the key of upload ${upload.id}`);
    }
    if (this.#final.get(upload.id) === key) return;
    // Several uploads that join the same partial need its bytes at once: no part may be replaced while another call completes.
    const known = this.#finalizing.get(key);
    if (known) return known;
    const finalizing = this.#makeFinal(upload, key).finally(() => this.#finalizing.delete(key));
    this.#finalizing.set(key, finalizing);
    await finalizing;
  }

  async #makeFinal(upload: StoredUpload, key: string): Promise<void> {
    await finalizeUpload(upload, key, decodeState(upload.storeState), {
      objects: this.#guard(upload),
      buffers: this.#buffers,
      ledger: this.#ledger,
      leastPartBytes: this.#leastPartBytes,
      closing: this.#closing.signal,
    });
    this.#final.set(upload.id, key);
  }

  storeAtOnce({ id }: StoredUpload): Promise<void> {
    return Promise.reject(new StoreError('failed', `upload ${id}: a bucket's bytes come as a stream`));
  }

  async heal(upload: StoredUpload): Promise<string> {
    const key = this.keyFor(upload);
    await this.finalize(upload, key);
    return key;
  }

  assure(upload: StoredUpload, content: SealedContent): Promise<{ isSound: boolean; seal: string | null }> {
    const state = decodeState(upload.storeState);
    return assureContent(upload, content, { objects: this.#objects, ledger: this.#ledger, state });
  }

  readContent(key: string, range?: ByteRange, signal?: AbortSignal, size?: number): Promise<Readable> {
    return openContent(this.#objects, key, { range, signal, size });
  }

  addressOf(key: string, options: AddressOptions): Promise<string> {
    const disposition = this.#isSaving ? options.disposition.replace(/^inline\b/, 'attachment') : options.disposition;
    return this.#objects.addressOf(key, { ...options, disposition });
  }

  async contentSize(key: string): Promise<number | undefined> {
    return (await this.#objects.head(key))?.size;
  }

  removeContent(key: string): Promise<void> {
    return this.#objects.remove(key);
  }

  probe(): Promise<void> {
    return this.#objects.check(this.#keys.tails());
  }

  async close(): Promise<void> {
    this.#closing.abort(new StoreError('unavailable', 'the store is closed'));
    this.#library.s3.destroy();
    this.#closeConnections();
  }
}
