/**
 * A store for tests and simulations: its bytes are on a disk in memory, tests order its faults, and it has no timers. `STORE`
 * cannot select it, and no part of the service imports it.
 */
import { type Capabilities, type Store, StoreError, type StoredUpload, UNKNOWN_MS } from '../store.ts';
import { type Surroundings, SYSTEM } from '../surroundings.ts';
import type { MemoryDisk } from './disk.ts';
import { createFaults, type Faults } from './faults.ts';
import { finalizeUpload, hasBytesOf, healContent, storeFinal } from './finalize.ts';
import { joinPieces } from './join.ts';
import { attemptKey, finalName, idOfPiece, type KeyStyle, keyOfFinal, piecesOf } from './names.ts';
import type { Mount } from './mount.ts';
import { lastPieceOf, readPieces } from './pieces.ts';
import { openStream } from './read.ts';
import { recoverUpload } from './recover.ts';
import { withFaults } from './with-faults.ts';
import { appendPieces, type Writing } from './write.ts';

export interface MemoryStoreOptions {
  disk: MemoryDisk;
  /** See `StoreSettings`. */
  now?: (() => number) | undefined;
  faults?: Faults;
  /** By default `upload`, the only style with which several nodes may share the disk. */
  keys?: KeyStyle;
  /** Whether the last commit of an upload is optional, as in a folder. By default it is with keys by digest. */
  lastIsOptional?: boolean;
  /** Commits when so many bytes have arrived since the last commit. */
  commitEveryBytes?: number;
  surroundings?: Surroundings | undefined;
}

export interface MemoryStore extends Store {
  /** Kills the process that opened the store: from now on its calls have no effect, and no answer. */
  die(): void;
}

const COMMIT_EVERY_BYTES = 1024 * 1024;

const CAPABILITIES: Omit<Capabilities, 'atOnce'> = {
  deferLength: true,
  terminate: true,
  listUnfinished: true,
  listContents: true,
  address: false,
  stateNamesBytes: true,
};

/** Opens the store of one process on a disk that others may have open, too. */
export function openMemoryStore({
  disk,
  surroundings = SYSTEM,
  now = () => surroundings.wallMs(),
  faults = createFaults(),
  keys = 'upload',
  lastIsOptional = keys === 'digest',
  commitEveryBytes = COMMIT_EVERY_BYTES,
}: MemoryStoreOptions): MemoryStore {
  const mount = disk.mount(faults);
  const store = withFaults(plainStore({ mount, now, commitEveryBytes, lastIsOptional, surroundings }, keys), faults);
  return { ...store, die: () => mount.die() };
}

function plainStore(writing: Writing, keys: KeyStyle): Store {
  const { mount, now } = writing;
  function keyFor(upload: StoredUpload, { md5, variant }: { md5: string; variant: number }): string {
    if (keys === 'upload') return attemptKey(upload.id, lastPieceOf(upload));
    return variant > 0 ? `${md5}-${variant}` : md5;
  }

  async function removeFinal(name: string): Promise<void> {
    await mount.remove(name);
    await mount.sync([name]);
  }

  return {
    name: 'memory',
    // The next upload of the same bytes finds what a crash has left, where their digest is their key.
    capabilities: { ...CAPABILITIES, atOnce: keys === 'digest' },
    place: null,
    keyFor,

    createUpload: async () => {
      // The first bytes create the first piece.
    },
    writeUpload: (source, upload, options) => appendPieces(source, upload, options, writing),
    joinUploads: (upload, partials, options) => joinPieces(upload, partials, options, writing),
    recoverUpload: (upload, digests, signal) => recoverUpload(mount, upload, digests, signal),
    readUpload: async (upload) => {
      try {
        return openStream(mount, upload.id, await readPieces(mount, upload));
      } catch (error) {
        if (error instanceof StoreError && error.code === 'missing') return null;
        throw error;
      }
    },
    discardUpload: async (upload, final) => {
      const { id } = upload;
      const oldest = final === 'unknown' ? now() - UNKNOWN_MS : Infinity;
      for (const name of await mount.list(piecesOf(id))) {
        const piece = await mount.read(name);
        if (piece && piece.writtenAtMs <= oldest) await mount.remove(name);
      }
      // Only the attempt that the row names: the content may be another attempt.
      if (final === 'remove' && keys === 'upload') await removeFinal(finalName(attemptKey(id, lastPieceOf(upload))));
    },
    listUnfinished: () => names(mount, piecesOf(), idOfPiece),

    finalize: (upload, key) => finalizeUpload(writing, upload, key),
    storeAtOnce: (_upload, key, chunks) => (keys === 'digest' ? storeFinal(writing, key, chunks) : refuseAtOnce(key)),
    heal: async (upload, key) => {
      const healed = keys === 'upload' ? attemptKey(upload.id, lastPieceOf(upload)) : key;
      await healContent(mount, upload, healed, now());
      return healed;
    },
    assure: async (upload, { key, size }) => {
      const found = await mount.read(finalName(key));
      return { isSound: found?.size === size && (await hasBytesOf(mount, upload, found)), seal: null };
    },
    readContent: async (key, range, _signal, size) => {
      const name = finalName(key);
      const content = await mount.read(name);
      if (!content) throw new StoreError('missing', `${key} is not there`);
      const least = range === undefined ? 0 : range.end + 1;
      if (content.size !== (size ?? content.size) || content.size < least) {
        throw new StoreError('missing', `${key} has ${content.size} bytes, not ${size ?? least}`);
      }
      return openStream(mount, name, [content], range);
    },
    addressOf: (key) => Promise.reject(new StoreError('failed', `${key} has no address outside of the service`)),
    contentSize: async (key) => (await mount.read(finalName(key)))?.size,
    listContents: () => names(mount, finalName(''), keyOfFinal),
    removeContent: (key) => removeFinal(finalName(key)),

    probe: async () => {
      await mount.list('');
    },
    close: async () => {
      // Only streams may be open, which end by themselves.
    },
  };
}

/** Lists what `nameOf` returns for the names with a prefix, without duplicates. */
async function* names(mount: Mount, prefix: string, nameOf: (name: string) => string): AsyncIterable<string> {
  yield* new Set((await mount.list(prefix)).map(nameOf));
}

function refuseAtOnce(key: string): Promise<never> {
  return Promise.reject(new StoreError('failed', `${key} cannot be stored at once`));
}
