/** The local store: uploads and contents as files in one folder of a local disk. */
import { statSync } from 'node:fs';
import { mkdir, opendir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import type { FileStore } from '@tus/file-store';
import { withDescriptor } from '../descriptors.ts';
import type { DigestPool } from '../digests/digests.ts';
import {
  type ByteRange,
  type Capabilities,
  type Commit,
  type DiscardedUpload,
  type Discarding,
  type JoinOptions,
  type Place,
  type SealedContent,
  type Store,
  StoreError,
  type StoredUpload,
  UNKNOWN_MS,
  type WriteOptions,
  type Written,
} from '../store.ts';
import { type Surroundings, SYSTEM } from '../surroundings.ts';
import { storeAtOnce } from './at-once.ts';
import { isFsError, toStoreError, translated } from './errors.ts';
import { createFile, type LocalFile, removeFile, sizeOf, syncFolder } from './files.ts';
import { finalizeUpload } from './finalize.ts';
import { createFolder, type Folder } from './folder.ts';
import { healContent } from './heal.ts';
import { joinFiles } from './join.ts';
import { createLibrary } from './library.ts';
import { openOwn, recoverUpload } from './linked.ts';
import { FINAL, finalName, UNFINISHED } from './names.ts';
import { createPlace } from './place.ts';
import { prepareFolder, probeFolder } from './prepare.ts';
import { openStream } from './read.ts';
import { appendToFile, type Place as WritePlace } from './write.ts';

export interface LocalStoreOptions {
  /** The folder of the files; created where it is missing. */
  folder: string;
  /** See `StoreSettings`. */
  now?: (() => number) | undefined;
  /** Resolves when everything committed before survives a power cut. */
  durable?: () => Promise<void>;
  surroundings?: Surroundings | undefined;
}

/**
 * Opens the local store.
 *
 * @throws StoreError `unavailable` when the folder cannot be created or written.
 */
export async function openLocalStore(options: LocalStoreOptions): Promise<Store> {
  const { folder } = options;
  try {
    await mkdir(folder, { recursive: true });
    await syncFolder(dirname(folder));
    const library = createLibrary(folder);
    const opened = createFolder(folder);
    return new LocalStore({ library, folder: opened, hasLinks: await prepareFolder(opened) }, options);
  } catch (error) {
    throw new StoreError('unavailable', `the folder ${folder} cannot be used: ${describe(error)}`, error);
  }
}

/** The catalog has the state of uploads. Bytes are synced before they are committed, and contents are named by their MD5. */
class LocalStore implements Store {
  readonly name = 'local';
  readonly capabilities: Capabilities;
  readonly place: Place;
  readonly #surroundings: Surroundings;
  /** Without hard links, `finalize` renames an upload's file. */
  readonly #hasLinks: boolean;
  readonly #folder: Folder;
  readonly #now: () => number;
  readonly #durable: () => Promise<void>;

  constructor(
    { library, folder, hasLinks }: { library: FileStore; folder: Folder; hasLinks: boolean },
    { durable, surroundings = SYSTEM, now = () => surroundings.wallMs() }: LocalStoreOptions,
  ) {
    this.#folder = folder;
    this.#hasLinks = hasLinks;
    this.#surroundings = surroundings;
    this.#now = now;
    this.place = createPlace(folder.directory, (name) => name.startsWith(UNFINISHED) || FINAL.test(name));
    this.#durable = durable ?? (() => Promise.resolve());
    this.capabilities = {
      deferLength: library.hasExtension('creation-defer-length'),
      terminate: library.hasExtension('termination'),
      listUnfinished: true,
      listContents: true,
      address: false,
      stateNamesBytes: false,
      atOnce: true,
    };
  }

  async createUpload(): Promise<void> {
    // The first bytes create the file.
  }

  async writeUpload(source: Readable, upload: StoredUpload, options: WriteOptions): Promise<Written> {
    // The source may fail before the file is open; the intake then sees that in its state.
    source.on('error', () => undefined);
    return translated(`writing upload ${upload.id}`, async () => {
      const place = this.#writePlace();
      const file = await this.#openUnfinished(upload);
      try {
        return await appendToFile(file, source, upload, place, options);
      } finally {
        await file.close();
      }
    });
  }

  async joinUploads(upload: StoredUpload, partials: readonly StoredUpload[], options: JoinOptions): Promise<Written> {
    return translated(`joining upload ${upload.id}`, () =>
      joinFiles(
        upload,
        partials,
        {
          ...this.#writePlace(),
          folder: this.#folder,
          openUnfinished: (own) => this.#openUnfinished(own),
        },
        options,
      ),
    );
  }

  /** To be called before the upload's file is opened: a failed sync of the folder since then may have been for its entry. */
  #writePlace(): WritePlace {
    const { sync } = this.#folder;
    const failures = sync.failures();
    return {
      bootId: this.#surroundings.bootId,
      syncEntry: () => sync(failures),
      hasLinks: this.#hasLinks,
      surroundings: this.#surroundings,
    };
  }

  /** Opens the upload's file. Once bytes are committed, a missing file is lost, unless its disk is not mounted. */
  async #openUnfinished(upload: StoredUpload): Promise<LocalFile> {
    if (upload.offset === 0) {
      this.#folder.requireMounted();
      return createFile(this.#folder.unfinished(upload.id));
    }
    try {
      return await withDescriptor(() => openOwn(this.#folder, upload));
    } catch (error) {
      if (isFsError(error, 'ENOENT')) this.#folder.requireHere();
      throw error;
    }
  }

  async recoverUpload(upload: StoredUpload, digests: DigestPool, signal: AbortSignal): Promise<Commit | null> {
    return translated(`recovering upload ${upload.id}`, () =>
      recoverUpload(this.#folder, upload, this.#surroundings.bootId, digests, signal),
    );
  }

  async readUpload(upload: StoredUpload): Promise<Readable | null> {
    if (upload.size === 0) return Readable.from([]);
    try {
      return await openStream(this.#folder.unfinished(upload.id));
    } catch (error) {
      if (isFsError(error, 'ENOENT')) {
        this.#folder.requireHere();
        return null;
      }
      throw toStoreError(error, `reading upload ${upload.id}`);
    }
  }

  async discardUpload({ id }: DiscardedUpload, final: Discarding): Promise<void> {
    await translated(`discarding upload ${id}`, async () => {
      const path = this.#folder.unfinished(id);
      if (final === 'unknown') {
        const found = statSync(path, { throwIfNoEntry: false });
        if (!found || this.#now() - found.mtimeMs < UNKNOWN_MS) return;
      }
      await removeFile(path);
      await this.#folder.entries.forget(UNFINISHED + id);
    });
  }

  async *listUnfinished(): AsyncIterable<string> {
    for await (const entry of await opendir(this.#folder.directory)) {
      if (entry.name.startsWith(UNFINISHED)) yield entry.name.slice(UNFINISHED.length);
    }
  }

  async *listContents(): AsyncIterable<string> {
    for await (const entry of await opendir(this.#folder.directory)) {
      if (FINAL.test(entry.name)) yield entry.name;
    }
  }

  keyFor(upload: StoredUpload, content: { md5: string; variant: number }): string {
    return finalName(upload.filename, content);
  }

  async finalize(upload: StoredUpload, key: string): Promise<void> {
    await translated(`finalizing upload ${upload.id}`, () => finalizeUpload(this.#folder, upload, key, this.#durable));
  }

  async storeAtOnce(upload: StoredUpload, key: string, chunks: readonly Uint8Array[]): Promise<void> {
    await translated(`storing upload ${upload.id} at once`, () => storeAtOnce(this.#folder, key, chunks));
  }

  async heal(upload: StoredUpload, key: string): Promise<string> {
    await translated(`healing ${key} by upload ${upload.id}`, () =>
      healContent(this.#folder, upload, key, this.#surroundings),
    );
    return key;
  }

  async assure(upload: StoredUpload, { key, size }: SealedContent): Promise<{ isSound: boolean; seal: null }> {
    return translated(`renewing ${key} by upload ${upload.id}`, async () => {
      // An entry whose sync failed may be of these very bytes: renaming them to it would change nothing that a sync covers.
      await this.#folder.entries.settle(key);
      // What is gone or too short is healed, and reported. Without links the bytes would have to be copied.
      const unfinished = sizeOf(this.#folder.unfinished(upload.id));
      const isUsable = this.#hasLinks && unfinished === size && sizeOf(this.#folder.path(key)) === size;
      if (isUsable) await healContent(this.#folder, upload, key, this.#surroundings);
      return { isSound: isUsable, seal: null };
    });
  }

  async readContent(key: string, range?: ByteRange, _signal?: AbortSignal, size?: number): Promise<Readable> {
    return translated(`reading ${key}`, async () => {
      await this.#folder.entries.settle(key);
      try {
        return await openStream(this.#folder.path(key), range, size);
      } catch (error) {
        if (isFsError(error, 'ENOENT')) this.#folder.requireHere();
        throw error;
      }
    });
  }

  addressOf(key: string): Promise<string> {
    return Promise.reject(new StoreError('failed', `${key} has no address outside of the service`));
  }

  async contentSize(key: string): Promise<number | undefined> {
    return translated(`looking up ${key}`, async () => {
      await this.#folder.entries.settle(key);
      const size = sizeOf(this.#folder.path(key));
      if (size === undefined) this.#folder.requireHere();
      return size;
    });
  }

  async removeContent(key: string, isRetry = false): Promise<void> {
    // Open streams have a descriptor, and deliver to their end.
    await translated(`removing ${key}`, async () => {
      const path = this.#folder.path(key);
      await this.#folder.entries.change(key, async () => {
        if (await removeFile(path)) return;
        this.#folder.requireHere();
        if (!isRetry) return;
        // The file is gone already, but the sync after its removal may have failed, also in an earlier process. So create it
        // and remove it again, for the sync that follows.
        await (await createFile(path)).close();
        await removeFile(path);
      });
    });
  }

  async probe(): Promise<void> {
    this.#folder.requireMounted();
    await probeFolder(this.#folder.directory);
  }

  async close(): Promise<void> {
    // Files are open only while a request or a stream uses them.
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
