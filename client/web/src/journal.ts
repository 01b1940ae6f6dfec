/**
 * The journal: unfinished uploads, recorded in IndexedDB so that they survive the page, the browser and the machine. It holds
 * names and addresses, and what the browser lets a page keep of the files themselves.
 */

import { isByLink } from './by-link.ts';
import type { WrittenClaim } from '../../core/claims.ts';
import type { OnConflictJson } from '../../../server/wire/files.ts';
import { keepEntryForMs } from '../../core/journal-life.ts';
import type { PartRow } from '../../core/upload-parts.ts';

export interface JournalEntry extends WrittenClaim {
  id: string;
  name: string;
  path: string;
  /** Optional, as `sha256`. */
  onConflict?: OnConflictJson | null;
  size: number;
  lastModified: number;
  md5: string | null;
  /** Optional, like others: an earlier version of the page did not write it. */
  sha256?: string | null;
  /** The upload's address, once there is one. */
  url: string | null;
  /** As of an item. Optional, as `sha256`. */
  parts?: readonly PartRow[];
  mayHaveFinal?: boolean;
  /** MD5 of the bytes for which that upload was begun. */
  urlMd5: string | null;
  /** How long the service keeps that upload without another byte; null where it is not known. Optional, as `sha256`. */
  lifeMs?: number | null;
  /** Bytes sent when the entry was written. */
  sent: number;
  /** When the entry was written, in milliseconds since the epoch. */
  at: number;
}

/** A dropped file's handle, or a small file itself. */
type Kept = File | FileSystemFileHandle;

export interface KeptFile {
  file: File;
  /** Whether these are certainly the bytes that the user chose: true for a file that was kept whole. */
  isSame: boolean;
}

/** Methods of a file handle that TypeScript's DOM types lack, and some browsers, too. */
interface HandlePermissions {
  queryPermission(options: { mode: 'read' }): Promise<PermissionState>;
  requestPermission(options: { mode: 'read' }): Promise<PermissionState>;
}

/** The largest file that is kept whole: its upload resumes by itself after a crash. */
const KEPT_BYTES = 16 * 1024 * 1024;
/** The most bytes of all files that are kept whole. */
const KEPT_BYTES_TOGETHER = 64 * 1024 * 1024;
/** How long an entry is kept without a change, in addition to the upload's life where that is known. */
const LIFE_MS = 14 * 24 * 3_600_000;

const UPLOADS = 'uploads';
const FILES = 'files';

let database: Promise<IDBDatabase> | undefined;
/** Sizes of the files that are kept whole, by the ids of their uploads. */
const keptWhole = new Map<string, number>();

function openDatabase(): Promise<IDBDatabase> {
  database ??= new Promise((resolve, reject) => {
    // The page of a link has its own: its uploads are those of the link alone.
    const opening = indexedDB.open(isByLink() ? `tidemark ${location.pathname}` : 'tidemark', 1);
    opening.addEventListener('upgradeneeded', () => {
      for (const name of [UPLOADS, FILES]) opening.result.createObjectStore(name);
    });
    opening.addEventListener('success', () => resolve(opening.result));
    opening.addEventListener('error', () => reject(opening.error ?? new Error('no database')));
  });
  return database;
}

/** Failures are ignored: where the browser stores nothing, a reload forgets, but the service finds its uploads by the MD5. */
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

/** Reads the entries, in the order in which they were begun; drops those that are too old. */
export async function readJournal(): Promise<JournalEntry[]> {
  // Files before entries: another tab writes an entry before its file, so no file that is seen here lacks its entry.
  const files = (await read(FILES, (store) => store.getAllKeys())) ?? [];
  const entries = (await read(UPLOADS, (store) => store.getAll() as IDBRequest<JournalEntry[]>)) ?? [];
  const current = entries.filter(({ at, lifeMs }) => at + keepEntryForMs(LIFE_MS, lifeMs) > Date.now());
  const known = new Set<IDBValidKey>(current.map(({ id }) => id));
  const old = [...entries.map(({ id }) => id), ...files].filter((id) => !known.has(id));
  if (old.length > 0) forget(old.filter((id) => typeof id === 'string'));
  return current;
}

/** @param durability - `strict`: once written, the entries survive a crash of the browser and the machine. */
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

/** Prefix of the Web Locks that an open tab holds, one for each of its uploads. */
const LOCK = 'tidemark-upload-';

/** Marks an upload as belonging to this tab, until the tab is closed. */
export function holdUpload(id: string): void {
  // Web Locks do not exist on plain HTTP to another machine.
  void navigator.locks?.request(LOCK + id, () => new Promise(() => undefined)).catch(() => undefined);
}

/** Ids of the uploads that belong to an open tab. */
export async function heldUploads(): Promise<Set<string>> {
  const held = (await navigator.locks?.query())?.held ?? [];
  return new Set(held.map((lock) => (lock.name ?? '').replace(LOCK, '')));
}

/** Keeps a dropped file's handle, or a small file itself. The user has to choose any other file again after a reload. */
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
 * Reads a file that was kept: as it was, if it was kept whole; otherwise as it is on the disk by now.
 *
 * @param asking - whether the browser may ask the user for permission, which it does only after a click.
 * @returns `ask` where it would have to ask; null where there is no file, or the user denied permission.
 */
export async function keptFile(id: string, asking: boolean): Promise<KeptFile | 'ask' | null> {
  const kept = await readKept(id);
  if (kept === undefined) return null;
  if (kept instanceof File) return { file: kept, isSame: true };
  const file = await openHandle(kept, asking);
  return file instanceof File ? { file, isSame: false } : file;
}

/** The file as it is on the disk by now; null where the browser has no handle of it, or may not read it. */
export async function freshFile(id: string): Promise<File | null> {
  const kept = await readKept(id);
  // A file that was kept whole is as it was then.
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
