/** The local store: uploads and contents as files in one folder of a local disk. */
import { fstatSync, statSync } from 'node:fs';
import { mkdir, open, opendir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { FileStore } from '@tus/file-store';
import { withDescriptor } from '../descriptors.ts';
import type { DigestPool } from '../digests/digests.ts';
import { equalStreams } from '../equal-streams.ts';
import {
  type ByteRange,
  type Capabilities,
  type Commit,
  type DiscardedUpload,
  type Discarding,
  type Place,
  type Store,
  StoreError,
  type StoredUpload,
  UNKNOWN_MS,
  type WriteOptions,
  type Written,
} from '../store.ts';
import { readBootId } from '../boot-id.ts';
import { isFsError, isSystemError, toStoreError } from './errors.ts';
import {
  createFile,
  identityOf,
  isSameFile,
  linkFile,
  linkOrRename,
  type LocalFile,
  openFile,
  removeFile,
  renewEntry,
  separateFile,
  sizeOf,
  syncFolder,
} from './files.ts';
import { replaceFile } from './heal.ts';
import { createPlace } from './place.ts';
import { recoverFile, recoverLinked } from './recover.ts';
import { createFolderSync } from './sync.ts';
import { appendToFile } from './write.ts';

/** Prefix of files that belong to unfinished uploads. */
const UNFINISHED = 'tmp_';
/** Longest extension kept in a final name; see names.ts of the service for what a name may hold. */
const EXTENSION_PATTERN = '\\.[a-z0-9]{1,16}';
const EXTENSION = new RegExp(`${EXTENSION_PATTERN}$`);
/** Names that `keyFor` gives; whatever else is in the folder is not ours to touch. */
const FINAL = new RegExp(`^[0-9a-f]{32}(-[1-9][0-9]*)?(${EXTENSION_PATTERN})?$`);
/** What a service that was killed may leave beside them. No other one is at work here: the catalog is locked. */
const LITTER = /^\.((probe|links|copy)-|tidemark-id-new$)/;
const PLAIN_NAME = /^[A-Za-z0-9_-]+(\.[a-z0-9]+)?$/;
const READ_BYTES = 256 * 1024;

export interface LocalStoreOptions {
  /** The folder of the files; made if it is not there. */
  folder: string;
  /** See `StoreSettings`. */
  now?: (() => number) | undefined;
  /** Resolves when everything committed before survives a power cut. */
  durable?: () => Promise<void>;
}

/**
 * Opens the local store.
 *
 * @throws StoreError `unavailable` when the folder cannot be made or written.
 */
export async function openLocalStore({ folder, durable, now = Date.now }: LocalStoreOptions): Promise<Store> {
  try {
    // The library makes the folder in its constructor and ends the process when it can't.
    await mkdir(folder, { recursive: true });
    await syncFolder(dirname(folder));
    const store = new LocalStore(folder, now, durable);
    await store.prepare();
    return store;
  } catch (error) {
    throw new StoreError('unavailable', `the folder ${folder} cannot be used: ${describe(error)}`, error);
  }
}

/**
 * FileStore with the state of uploads in the catalog instead of JSON files beside
 * the data, bytes synced before they are told, and contents under their digest.
 */
class LocalStore extends FileStore implements Store {
  readonly name = 'local';
  readonly capabilities: Capabilities;
  readonly place: Place;
  readonly #bootId = readBootId();
  /** Without links, `finalize` moves an upload's bytes, and only a commit tells where they are. */
  #hasLinks = false;
  readonly #syncFolder;
  readonly #now: () => number;
  readonly #durable: () => Promise<void>;
  /** Of the folder as it was opened: another one in its place, or none, is a disk that is not mounted. */
  #identity = '';

  constructor(folder: string, now: () => number, durable: LocalStoreOptions['durable']) {
    super({ directory: folder, configstore: NO_SIDE_FILES });
    this.#syncFolder = createFolderSync(folder);
    this.#now = now;
    this.place = createPlace(folder, (name) => name.startsWith(UNFINISHED) || FINAL.test(name));
    this.#durable = durable ?? (() => Promise.resolve());
    this.capabilities = {
      deferLength: this.hasExtension('creation-defer-length'),
      terminate: this.hasExtension('termination'),
      listUnfinished: true,
      listContents: true,
      address: false,
    };
  }

  async createUpload(): Promise<void> {
    // Its first bytes make the file.
  }

  async writeUpload(source: Readable, upload: StoredUpload, options: WriteOptions): Promise<Written> {
    // A source may break before the file is open; the intake finds out from its state.
    source.on('error', () => undefined);
    return translated(`writing upload ${upload.id}`, async () => {
      // Once bytes are committed, a file that is not there is one that is lost.
      const file = await withDescriptor(() =>
        upload.offset > 0 ? this.#openOwn(upload) : createFile(this.#unfinished(upload.id)),
      );
      try {
        const place = { bootId: this.#bootId, syncFolder: this.#syncFolder, hasLinks: this.#hasLinks };
        return await appendToFile(file, source, upload, place, options);
      } finally {
        await file.close();
      }
    });
  }

  async recoverUpload(upload: StoredUpload, digests: DigestPool, signal: AbortSignal): Promise<Commit | null> {
    return translated(`recovering upload ${upload.id}`, async () => {
      const path = this.#unfinished(upload.id);
      if (sizeOf(path) === undefined) {
        // Without a byte there is no file yet; with all of them it may be final already: finalize knows.
        if (upload.offset === 0 || upload.offset === upload.size) return null;
        throw new StoreError('missing', `upload ${upload.id}: its file is gone`);
      }
      const linked = await this.#recoverLinked(upload, digests, signal);
      if (linked !== undefined) return linked;
      if (upload.offset === 0) {
        // Nothing of it was told. Its entry may be one that no sync counts for: the next write makes it anew.
        await removeFile(path);
        return null;
      }
      const file = await withDescriptor(() => this.#openOwn(upload));
      try {
        return await recoverFile(file, upload, this.#bootId, digests, signal);
      } finally {
        await file.close();
      }
    });
  }

  /** Undefined: the upload's file is not final. */
  async #recoverLinked(
    upload: StoredUpload,
    digests: DigestPool,
    signal: AbortSignal,
  ): Promise<Commit | null | undefined> {
    const file = openFile(this.#unfinished(upload.id));
    try {
      if (file.links() === 1) return undefined;
      const isFinal = (md5: string): Promise<boolean> => this.#isFinal(upload.id, md5);
      return await recoverLinked(file, upload, this.#bootId, digests, isFinal, signal);
    } finally {
      await file.close();
    }
  }

  /** Whether an upload's file has a final name of this MD5, of any variant and extension. */
  async #isFinal(id: string, md5: string): Promise<boolean> {
    for await (const { name } of await opendir(this.directory)) {
      if (name.startsWith(md5) && FINAL.test(name) && isSameFile(this.#unfinished(id), this.#path(name))) return true;
    }
    return false;
  }

  /**
   * Opens an upload's file to write to it or to cut it: one with another name, which is final or somebody's
   * copy of the folder (`cp -al`), is left as it is.
   */
  async #openOwn(upload: StoredUpload): Promise<LocalFile> {
    const path = this.#unfinished(upload.id);
    const file = openFile(path);
    if (file.links() === 1) return file;
    await file.close();
    await separateFile(path, upload.offset, join(this.directory, `.copy-${upload.id}`));
    await this.#syncFolder();
    return openFile(path);
  }

  async readUpload(upload: StoredUpload): Promise<Readable | null> {
    if (upload.size === 0) return Readable.from([]);
    try {
      return await openStream(this.#unfinished(upload.id));
    } catch (error) {
      if (isFsError(error, 'ENOENT')) return null;
      throw toStoreError(error, `reading upload ${upload.id}`);
    }
  }

  async discardUpload({ id }: DiscardedUpload, final: Discarding): Promise<void> {
    await translated(`discarding upload ${id}`, async () => {
      const path = this.#unfinished(id);
      if (final === 'unknown') {
        const found = statSync(path, { throwIfNoEntry: false });
        if (!found || this.#now() - found.mtimeMs < UNKNOWN_MS) return;
      }
      await removeFile(path);
    });
  }

  async *listUnfinished(): AsyncIterable<string> {
    for await (const entry of await withDescriptor(() => opendir(this.directory))) {
      if (entry.name.startsWith(UNFINISHED)) yield entry.name.slice(UNFINISHED.length);
    }
  }

  async *listContents(): AsyncIterable<string> {
    for await (const entry of await withDescriptor(() => opendir(this.directory))) {
      if (FINAL.test(entry.name)) yield entry.name;
    }
  }

  keyFor(upload: StoredUpload, content: { md5: string; variant: number }): string {
    const extension = EXTENSION.exec(upload.filename?.toLowerCase() ?? '')?.[0] ?? '';
    return `${content.md5}${content.variant > 0 ? `-${content.variant}` : ''}${extension}`;
  }

  async finalize(upload: StoredUpload, key: string): Promise<void> {
    await translated(`finalizing upload ${upload.id}`, async () => {
      const unfinished = this.#unfinished(upload.id);
      const final = this.#path(key);
      if (sizeOf(unfinished) === undefined) {
        if (upload.size === 0) await (await withDescriptor(() => createFile(final))).close();
        else if (sizeOf(final) !== upload.size) {
          throw new StoreError('missing', `upload ${upload.id}: its file is gone`);
        }
        // Renamed by an attempt that was cut short, where there are no links.
        else await renewEntry(unfinished, final, this.#durable);
      } else if (!(await linkOrRename(unfinished, final, this.#durable))) {
        if (!(await equalFiles(unfinished, final))) throw new StoreError('occupied', `${key} holds other bytes`);
        // Of an attempt that was cut short, this upload's or another's.
        await renewEntry(unfinished, final, this.#durable);
      }
      await this.#syncFolder();
    });
  }

  async heal(upload: StoredUpload, key: string): Promise<string> {
    await translated(`healing ${key} by upload ${upload.id}`, async () => {
      const unfinished = this.#unfinished(upload.id);
      const from = upload.offset === 0 ? null : unfinished;
      // The name between begins as unfinished bytes do: what a crash leaves of it is swept.
      await replaceFile(from, this.#path(key), `${unfinished}-heal`).catch((error: unknown) => {
        // Just then a sweep took it for left by a crash. The upload's own bytes are there.
        if (!isFsError(error, 'ENOENT') || from === null || sizeOf(from) === undefined) throw error;
        throw new StoreError('unavailable', `healing ${key}: the file between is gone`, error);
      });
      await this.#syncFolder();
    });
    return key;
  }

  async readContent(key: string, range?: ByteRange, _signal?: AbortSignal, size?: number): Promise<Readable> {
    return translated(`reading ${key}`, async () => {
      try {
        return await openStream(this.#path(key), range, size);
      } catch (error) {
        if (isFsError(error, 'ENOENT')) this.#requireFolder();
        throw error;
      }
    });
  }

  addressOf(key: string): Promise<string> {
    return Promise.reject(new StoreError('failed', `${key} has no address outside of the service`));
  }

  async contentSize(key: string): Promise<number | undefined> {
    return translated(`looking up ${key}`, async () => {
      const size = sizeOf(this.#path(key));
      if (size === undefined) this.#requireFolder();
      return size;
    });
  }

  async removeContent(key: string): Promise<void> {
    // Streams that are open keep their descriptor and deliver to the end.
    await translated(`removing ${key}`, async () => {
      const path = this.#path(key);
      // Gone already, and the sync that was for it may have failed: it goes once more.
      if (!(await removeFile(path)) && this.#syncFolder.hasFailed()) {
        await (await createFile(path)).close();
        await removeFile(path);
      }
      await this.#syncFolder();
    });
  }

  async probe(): Promise<void> {
    await translated(`writing to ${this.directory}`, async () => {
      const path = join(this.directory, `.probe-${process.pid}`);
      const file = await withDescriptor(() => open(path, 'w', 0o600));
      try {
        await file.write('tidemark');
      } finally {
        await file.close();
        await removeFile(path);
      }
    });
  }

  /** Clears up after a start that was killed, and finds out what the folder can do; once, before the first upload. */
  async prepare(): Promise<void> {
    this.#identity = identityOf(this.directory) ?? '';
    for await (const { name } of await opendir(this.directory)) {
      if (LITTER.test(name)) await removeFile(join(this.directory, name));
    }
    try {
      await this.probe();
      await translated(`linking in ${this.directory}`, () => this.#tryLinks());
    } catch (error) {
      // What is here can still be read and removed, and that makes room.
      if (!(error instanceof StoreError && error.code === 'full')) throw error;
    }
  }

  async #tryLinks(): Promise<void> {
    const path = join(this.directory, `.links-${process.pid}`);
    const other = `${path}-other`;
    await removeFile(other);
    await (await createFile(path)).close();
    this.#hasLinks = (await linkFile(path, other)) === 'linked';
    await removeFile(path);
    await removeFile(other);
  }

  async close(): Promise<void> {
    // Files are open only while a request or a stream uses them.
  }

  /** @throws StoreError `unavailable` when the folder is not the one that was opened: what it lacks is not lost. */
  #requireFolder(): void {
    if (identityOf(this.directory) === this.#identity) return;
    throw new StoreError('unavailable', `${this.directory} is not the folder that was opened: is its disk mounted?`);
  }

  /** Ids and keys are made by the service, never by a client; one that is not a plain name is refused all the same. */
  #path(name: string): string {
    if (!PLAIN_NAME.test(name)) throw new StoreError('missing', `${JSON.stringify(name)} is not a name of ours`);
    return join(this.directory, name);
  }

  #unfinished(id: string): string {
    return this.#path(UNFINISHED + id);
  }
}

/** In place of the library's JSON files: nothing inherited may keep state beside the data. */
const NO_SIDE_FILES = {
  get: refuseSideFile,
  set: refuseSideFile,
  delete: refuseSideFile,
};

function refuseSideFile(): never {
  throw new Error("an upload's state is kept in the catalog");
}

async function translated<T>(doing: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw isSystemError(error) ? toStoreError(error, doing) : error;
  }
}

async function openStream(path: string, range?: ByteRange, size?: number): Promise<Readable> {
  const file = await withDescriptor(() => open(path, 'r'));
  if (size !== undefined) {
    const found = fstatSync(file.fd).size;
    if (found !== size) {
      await file.close();
      throw new StoreError('missing', `${path} has ${found} bytes, not ${size}`);
    }
  }
  return file.createReadStream({ ...range, highWaterMark: READ_BYTES });
}

async function equalFiles(a: string, b: string): Promise<boolean> {
  if (isSameFile(a, b)) return true;
  if (sizeOf(a) !== sizeOf(b)) return false;
  const ours = await openStream(a);
  try {
    return await equalStreams(ours, await openStream(b));
  } finally {
    ours.destroy();
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
