/** The S3 store: uploads as multipart uploads of a bucket, contents as its objects. */
import type { S3 } from '@aws-sdk/client-s3';
import { S3Store } from '@tus/s3-store';
import { setMaxListeners } from 'node:events';
import type { Readable } from 'node:stream';
import {
  type AddressOptions,
  type ByteRange,
  type Capabilities,
  type Commit,
  type DiscardedUpload,
  type Discarding,
  type Ledger,
  type Store,
  StoreError,
  type StoredUpload,
  type WriteOptions,
  type Written,
} from '../store.ts';
import { type BufferPool, createBufferPool } from './buffers.ts';
import { bucketOf, createSender, setUpClient } from './client.ts';
import { completeUpload, isThere } from './complete.ts';
import { openContent } from './content.ts';
import { createKeys, type Keys } from './keys.ts';
import { type Body, createObjects, type Objects, type SentPart } from './objects.ts';
import { MOST_BYTES, choosePartSizes, placeOf } from './part-sizes.ts';
import { S3_PRESET } from './preset.ts';
import type { Preset, S3Settings } from './settings.ts';
import { decodeState, type UploadState } from './state.ts';
import { readTail } from './tail.ts';
import { appendToBucket } from './write.ts';

/** Tails of uploads that the catalog does not know are another service's until they are as old as this. */
const FOREIGN_MS = 7 * 24 * 3_600_000;
/** The rest of the memory is for what sockets have brought and has not been collected since. */
const SHARE_OF_PARTS = 7 / 8;
const MD5_OF_NOTHING = 'd41d8cd98f00b204e9800998ecf8427e';

/** @throws StoreError `unavailable` when the bucket cannot be used. */
export function openS3Store(settings: S3Settings, ledger: Ledger): Promise<Store> {
  return openBucketStore(S3_PRESET, settings, ledger);
}

/** @throws StoreError `unavailable` when the bucket cannot be used, saying why. */
export async function openBucketStore(preset: Preset, settings: S3Settings, ledger: Ledger): Promise<Store> {
  const store = new BucketStore(preset, settings, ledger);
  try {
    await store.probe();
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/**
 * S3Store with the state of uploads in the catalog instead of `.info` objects, parts
 * in memory instead of temporary files, and the ledger instead of ListParts.
 */
class BucketStore extends S3Store implements Store {
  readonly name: string;
  readonly capabilities: Capabilities;
  readonly #objects: Objects;
  readonly #keys: Keys;
  readonly #buffers: BufferPool;
  readonly #ledger: Ledger;
  /** Its host makes browsers save everything. */
  readonly #isSaving: boolean;
  readonly #sender: S3;
  readonly #closing = new AbortController();
  readonly #closeConnections: () => void;
  /** Uploads whose bytes this process has made final, until they are discarded. */
  readonly #final = new Set<string>();

  constructor(preset: Preset, settings: S3Settings, ledger: Ledger) {
    const { config, closeConnections } = setUpClient(preset, settings);
    super({ s3ClientConfig: config, useTags: false });
    this.#sender = createSender(config);
    // Every call listens to it.
    setMaxListeners(0, this.#closing.signal);
    this.name = preset.name;
    this.#objects = createObjects(
      { client: this.client, sender: this.#sender },
      bucketOf(settings),
      preset,
      this.#closing.signal,
    );
    this.#keys = createKeys(settings.prefix);
    this.#buffers = createBufferPool(Math.floor(settings.bufferBytes * SHARE_OF_PARTS));
    this.#ledger = ledger;
    this.#closeConnections = closeConnections;
    this.#isSaving =
      settings.endpoint !== null && (preset.savingHosts?.test(new URL(settings.endpoint).hostname) ?? false);
    this.capabilities = {
      deferLength: this.hasExtension('creation-defer-length'),
      terminate: this.hasExtension('termination'),
      listUnfinished: true,
      listContents: false,
      address: true,
    };
  }

  async createUpload({ id, size }: StoredUpload): Promise<void> {
    // The first part makes the multipart upload.
    const partBytes = choosePartSizes(size).first;
    if ((size ?? 0) > MOST_BYTES || partBytes > this.#buffers.totalBytes) {
      throw new StoreError('overflow', `upload ${id}: its parts would be larger than S3_BUFFER_BYTES`);
    }
  }

  async writeUpload(source: Readable, upload: StoredUpload, options: WriteOptions): Promise<Written> {
    const place = { objects: this.#objects, keys: this.#keys, buffers: this.#buffers };
    const written = await appendToBucket(source, upload, place, options);
    if (written.storedWhole) this.#final.add(upload.id);
    return written;
  }

  async recoverUpload({ id, size, offset, storeState }: StoredUpload): Promise<Commit | null> {
    // Nothing counts but what was committed: the bucket need not be asked.
    if (storeState === null && offset > 0 && offset !== size) {
      throw new StoreError('missing', `upload ${id}: it is not known where its bytes are`);
    }
    return null;
  }

  async readUpload(upload: StoredUpload): Promise<Readable | null> {
    // Parts cannot be read before they are put together. Nobody can see them under their key all the same.
    const key = this.#keys.final(upload.id);
    await this.finalize(upload, key);
    return openContent(this.#objects, key);
  }

  async discardUpload({ id, storeState }: DiscardedUpload, final: Discarding): Promise<void> {
    const state = decodeState(storeState);
    const key = this.#keys.final(id);
    // Never what a content was made of: RGW may still know it as unfinished when it died while completing it.
    const { multipart = null } = state ?? {};
    if (multipart && final !== 'keep') await this.#objects.abortMultipart(key, multipart);
    // Those that were begun twice by whoever passes calls on are found by a sweep, which comes without a note.
    if (state?.doubtful || (storeState === null && final !== 'unknown')) {
      await this.#objects.abortEmptyMultiparts(key, multipart);
    }
    const tails = [...(state?.tail ? [state.tail.key] : []), ...(state?.old ?? [])];
    for (const tail of tails) await this.#objects.remove(tail);
    // After a crash there may be tails that no row tells of.
    if (final !== 'keep' || storeState === null) await this.#removeTails(id, final === 'unknown' ? FOREIGN_MS : 0);
    if (final === 'remove') await this.#objects.remove(key);
    this.#final.delete(id);
  }

  async #removeTails(id: string, leastAgeMs: number): Promise<void> {
    for await (const { key, modifiedAt } of this.#objects.list(this.#keys.tails(id))) {
      if (this.#keys.ownerOfTail(key) !== id || Date.now() - modifiedAt < leastAgeMs) continue;
      await this.#objects.remove(key);
    }
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
    // Without the capability nobody asks.
  }

  keyFor({ id }: StoredUpload): string {
    return this.#keys.final(id);
  }

  async finalize(upload: StoredUpload, key: string): Promise<void> {
    if (key !== this.#keys.final(upload.id)) {
      throw new StoreError('occupied', `${key} is not the key of upload ${upload.id}`);
    }
    if (this.#final.has(upload.id)) return;
    await this.#finalize(upload, key, decodeState(upload.storeState));
    this.#final.add(upload.id);
  }

  async #finalize(upload: StoredUpload, key: string, state: UploadState | null): Promise<void> {
    const { id, offset: size } = upload;
    if (size === 0) {
      await this.#objects.putFinal(key, upload, {
        bytes: new Uint8Array(0),
        md5: MD5_OF_NOTHING,
        onFailure: () => undefined,
      });
      return;
    }
    if (state === null || state.whole) {
      if (await isThere(this.#objects, { key, uploadId: id, size })) return;
      throw new StoreError('missing', `upload ${id}: its object is gone`);
    }
    if (state.multipart === null) {
      await this.#putTailAsFinal(upload, key, state);
      return;
    }
    const parts = await this.#partsOf(upload, key, state, state.multipart);
    const completion = { key, uploadId: id, size, multipart: state.multipart, parts };
    await completeUpload(this.#objects, completion, this.#closing.signal);
  }

  /** An upload whose length was told at its end, and which is one part. */
  async #putTailAsFinal(upload: StoredUpload, key: string, { tail }: UploadState): Promise<void> {
    await this.#withTail(upload, { tail, start: 0 }, (body) => this.#objects.putFinal(key, upload, body));
  }

  /** All parts by the ledger; a tail that is the last of them is sent now. */
  async #partsOf(
    upload: StoredUpload,
    key: string,
    { sizes, tail }: UploadState,
    multipart: string,
  ): Promise<SentPart[]> {
    const parts: SentPart[] = [];
    let end = 0;
    for (const part of await this.#ledger.parts(upload.id)) {
      if (part.start !== end) throw new StoreError('missing', `upload ${upload.id}: no part begins at ${end}`);
      end += part.size;
      parts.push({ number: part.number, etag: part.etag });
    }
    if (tail && end < upload.offset) {
      const number = placeOf(sizes, end)?.number ?? 0;
      await this.#withTail(upload, { tail, start: end }, async (body) => {
        const etag = await this.#objects.uploadPart(key, multipart, number, body, this.#closing.signal);
        parts.push({ number, etag });
      });
      end = upload.offset;
    }
    if (end !== upload.offset) throw new StoreError('missing', `upload ${upload.id}: no part begins at ${end}`);
    return parts;
  }

  async #withTail(
    upload: StoredUpload,
    { tail, start }: { tail: UploadState['tail']; start: number },
    use: (body: Body) => Promise<void>,
  ): Promise<void> {
    const length = upload.offset - start;
    const room = await this.#buffers.reserve(length, false, this.#closing.signal);
    room.seal();
    try {
      let at = 0;
      for (const chunk of await readTail(this.#objects, tail, start, upload.offset)) {
        room.bytes.set(chunk, at);
        at += chunk.length;
      }
      await use({ bytes: room.bytes, md5: tail?.md5 ?? '', onFailure: room.spoil });
    } finally {
      room.release();
    }
  }

  async heal(upload: StoredUpload): Promise<string> {
    const key = this.#keys.final(upload.id);
    await this.finalize(upload, key);
    return key;
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
    this.client.destroy();
    this.#sender.destroy();
    this.#closeConnections();
  }

  /** In place of the library's own way of bytes: nothing inherited may keep state beside the catalog. */
  override create = refuseInherited;
  override write = refuseInherited;
  override read = refuseInherited;
  override remove = refuseInherited;
  override getUpload = refuseInherited;
  override declareUploadLength = refuseInherited;
  override deleteExpired = refuseInherited;
}

function refuseInherited(): never {
  throw new Error("an upload's state is kept in the catalog");
}
