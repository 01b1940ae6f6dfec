/**
 * What is under way, written down in IndexedDB so that it survives the page, the browser and the
 * machine: names and addresses; and what the browser lets a page keep of the files themselves.
 */

import type { WrittenClaim } from '../../core/claims.ts';

export interface JournalEntry extends WrittenClaim {
  id: string;
  name: string;
  path: string;
  size: number;
  lastModified: number;
  md5: string | null;
  /** Missing in what an earlier edition of the page wrote, as are the others that may be. */
  sha256?: string | null;
  /** The upload's address, once there is one. */
  url: string | null;
  /** Of the bytes that were begun there. */
  urlMd5: string | null;
  /** Bytes that were sent when it was last looked at. */
  sent: number;
  at: number;
}

/** A dropped file's handle, or a small file itself. */
type Kept = File | FileSystemFileHandle;

export interface KeptFile {
  file: File;
  /** These are the bytes that were chosen then. */
  isSame: boolean;
}

/** As far as browsers have it; TypeScript's DOM does not. */
interface HandlePermissions {
  queryPermission(options: { mode: 'read' }): Promise<PermissionState>;
  requestPermission(options: { mode: 'read' }): Promise<PermissionState>;
}

/** Small files are kept whole, and resume by themselves after a crash. */
const KEPT_BYTES = 16 * 1024 * 1024;
const KEPT_BYTES_TOGETHER = 64 * 1024 * 1024;
/** By then the service has forgotten them as well. */
const LIFE_MS = 14 * 24 * 3_600_000;

const UPLOADS = 'uploads';
const FILES = 'files';

let database: Promise<IDBDatabase> | undefined;
/** Bytes of the files that are kept whole, by their uploads. */
const keptWhole = new Map<string, number>();

function openDatabase(): Promise<IDBDatabase> {
  database ??= new Promise((resolve, reject) => {
    const opening = indexedDB.open('tidemark', 1);
    opening.addEventListener('upgradeneeded', () => {
      for (const name of [UPLOADS, FILES]) opening.result.createObjectStore(name);
    });
    opening.addEventListener('success', () => resolve(opening.result));
    opening.addEventListener('error', () => reject(opening.error ?? new Error('no database')));
  });
  return database;
}

/** Where the browser keeps nothing, a reload forgets; the service still knows what it has, by the MD5. */
async function write(change: (store: (name: string) => IDBObjectStore) => void, durability: IDBTransactionDurability) {
  try {
    const transaction = (await openDatabase()).transaction([UPLOADS, FILES], 'readwrite', { durability });
    await new Promise((resolve, reject) => {
      transaction.addEventListener('complete', resolve);
      transaction.addEventListener('abort', () => reject(transaction.error ?? new Error('not written')));
      change((name) => transaction.objectStore(name));
    });
  } catch {
    return;
  }
}

async function read<T>(name: string, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | undefined> {
  try {
    const store = (await openDatabase()).transaction(name, 'readonly').objectStore(name);
    return await new Promise<T>((resolve, reject) => {
      const asked = ask(store);
      asked.addEventListener('success', () => resolve(asked.result));
      asked.addEventListener('error', () => reject(asked.error ?? new Error('no answer')));
    });
  } catch {
    return undefined;
  }
}

/** The entries, in the order in which they were begun; drops those that are out of date. */
export async function readJournal(): Promise<JournalEntry[]> {
  // Files first: what another tab keeps meanwhile has its entry before it.
  const files = (await read(FILES, (store) => store.getAllKeys())) ?? [];
  const entries = (await read(UPLOADS, (store) => store.getAll() as IDBRequest<JournalEntry[]>)) ?? [];
  const current = entries.filter((entry) => entry.at > Date.now() - LIFE_MS);
  const known = new Set<IDBValidKey>(current.map(({ id }) => id));
  const old = [...entries.map(({ id }) => id), ...files].filter((id) => !known.has(id));
  if (old.length > 0) forget(old.filter((id) => typeof id === 'string'));
  return current;
}

/** @param durability - `strict`: what is written outlives a crash of the browser, from now on. */
export function writeJournal(entries: readonly JournalEntry[], durability: IDBTransactionDurability): void {
  if (entries.length === 0) return;
  void write((store) => {
    for (const entry of entries) store(UPLOADS).put(entry, entry.id);
  }, durability);
}

/** Drops entries, and the files that were kept for them. */
export function forget(ids: readonly string[]): void {
  for (const id of ids) keptWhole.delete(id);
  void write((store) => {
    for (const id of ids) for (const name of [UPLOADS, FILES]) store(name).delete(id);
  }, 'relaxed');
}

/** Uploads that are in the hands of a living tab: each holds a lock by this name. */
const LOCK = 'tidemark-upload-';

export function holdUpload(id: string): void {
  // Not there on plain HTTP from afar.
  void navigator.locks?.request(LOCK + id, () => new Promise(() => undefined)).catch(() => undefined);
}

export async function heldUploads(): Promise<Set<string>> {
  const held = (await navigator.locks?.query())?.held ?? [];
  return new Set(held.map((lock) => (lock.name ?? '').replace(LOCK, '')));
}

/** Keeps a dropped file's handle, or a small file itself. What cannot be kept is chosen again after a reload. */
export function keepFile(id: string, file: File, handle: FileSystemFileHandle | null): void {
  keptWhole.delete(id);
  const together = [...keptWhole.values()].reduce((sum, bytes) => sum + bytes, 0);
  const kept = handle ?? (file.size <= KEPT_BYTES && together + file.size <= KEPT_BYTES_TOGETHER ? file : null);
  if (kept === file) keptWhole.set(id, file.size);
  void write((store) => {
    if (kept === null) store(FILES).delete(id);
    else store(FILES).put(kept, id);
  }, 'strict');
}

/**
 * A file that was kept: as it was where it was kept whole, else as it is on the disk by now.
 *
 * @param asking - the browser may ask its user; that takes a click.
 * @returns `ask` when it would have to.
 */
export async function keptFile(id: string, asking: boolean): Promise<KeptFile | 'ask' | null> {
  const kept = await readKept(id);
  if (kept === undefined) return null;
  if (kept instanceof File) return { file: kept, isSame: true };
  const file = await openHandle(kept, asking);
  return file instanceof File ? { file, isSame: false } : file;
}

/** The file as it is on the disk by now, where the browser has kept a way to it. */
export async function freshFile(id: string): Promise<File | null> {
  const kept = await readKept(id);
  // Kept whole, it is as it was.
  const file = kept === undefined || kept instanceof File ? null : await openHandle(kept, true);
  return file === 'ask' ? null : file;
}

function readKept(id: string): Promise<Kept | undefined> {
  return read(FILES, (store) => store.get(id) as IDBRequest<Kept | undefined>);
}

async function openHandle(handle: FileSystemFileHandle, asking: boolean): Promise<File | 'ask' | null> {
  try {
    const permissions = handle as unknown as HandlePermissions;
    const mode = { mode: 'read' } as const;
    const state = await (asking ? permissions.requestPermission(mode) : permissions.queryPermission(mode));
    if (state === 'granted') return await handle.getFile();
    return state === 'prompt' ? 'ask' : null;
  } catch {
    return null;
  }
}
