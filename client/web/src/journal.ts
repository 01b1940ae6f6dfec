/**
 * What is under way, written down so that it survives the page: names and addresses in
 * localStorage; and what the browser lets a page keep of the files themselves in IndexedDB.
 */

export interface JournalEntry {
  id: string;
  name: string;
  path: string;
  size: number;
  lastModified: number;
  md5: string | null;
  /** The upload's address, once there is one. */
  url: string | null;
  /** Bytes that were sent when it was last looked at. */
  sent: number;
  at: number;
}

const KEY = 'tidemark-uploads';
/** localStorage holds some 5 MB in all. */
const MOST_ENTRIES = 1_000;
/** Small files are kept whole, and go on by themselves after a crash. */
const KEPT_BYTES = 16 * 1024 * 1024;
const KEPT_BYTES_TOGETHER = 64 * 1024 * 1024;
/** The service has forgotten them by then, too. */
const LIFE_MS = 14 * 24 * 3_600_000;

export function readJournal(): JournalEntry[] {
  try {
    const entries = JSON.parse(localStorage.getItem(KEY) ?? '[]') as JournalEntry[];
    return entries.filter((entry) => entry.at > Date.now() - LIFE_MS);
  } catch {
    return [];
  }
}

/** Changes the journal: other tabs write to it too. */
export function writeJournal(changed: readonly JournalEntry[], removed: readonly string[] = []): void {
  const entries = new Map(readJournal().map((entry) => [entry.id, entry]));
  for (const id of removed) entries.delete(id);
  for (const entry of changed) entries.set(entry.id, entry);
  try {
    localStorage.setItem(KEY, JSON.stringify([...entries.values()].slice(-MOST_ENTRIES)));
  } catch {
    // Full, or forbidden: then a reload forgets, and the service still knows by the MD5.
  }
  for (const id of removed) void forgetFile(id);
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

type Kept = File | FileSystemFileHandle;

interface HandlePermissions {
  queryPermission(options: { mode: 'read' }): Promise<PermissionState>;
  requestPermission(options: { mode: 'read' }): Promise<PermissionState>;
}

let database: Promise<IDBDatabase> | undefined;
let keptTogether = 0;

function openDatabase(): Promise<IDBDatabase> {
  database ??= new Promise((resolve, reject) => {
    const opening = indexedDB.open('tidemark', 1);
    opening.addEventListener('upgradeneeded', () => opening.result.createObjectStore('files'));
    opening.addEventListener('success', () => resolve(opening.result));
    opening.addEventListener('error', () => reject(opening.error ?? new Error('no database')));
  });
  return database;
}

async function inStore<T>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const store = (await openDatabase()).transaction('files', mode).objectStore('files');
  return new Promise((resolve, reject) => {
    const asked = ask(store);
    asked.addEventListener('success', () => resolve(asked.result));
    asked.addEventListener('error', () => reject(asked.error ?? new Error('no answer')));
  });
}

/** Keeps a dropped file's handle, or a small file itself. What cannot be kept is chosen again after a reload. */
export async function keepFile(id: string, file: File, handle: FileSystemFileHandle | null): Promise<void> {
  const kept = handle ?? (file.size <= KEPT_BYTES && keptTogether + file.size <= KEPT_BYTES_TOGETHER ? file : null);
  if (kept === null) return;
  if (kept === file) keptTogether += file.size;
  await inStore('readwrite', (store) => store.put(kept, id)).catch(() => undefined);
}

async function forgetFile(id: string): Promise<void> {
  await inStore('readwrite', (store) => store.delete(id)).catch(() => undefined);
}

/**
 * A file that was kept.
 *
 * @param asking - the browser may ask its user; that takes a click.
 * @returns `ask` when it would have to.
 */
export async function keptFile(id: string, asking: boolean): Promise<File | 'ask' | null> {
  try {
    const kept = await inStore('readonly', (store) => store.get(id) as IDBRequest<Kept | undefined>);
    if (kept === undefined) return null;
    if (kept instanceof File) return kept;
    const permissions = kept as unknown as HandlePermissions;
    const mode = { mode: 'read' } as const;
    const state = await (asking ? permissions.requestPermission(mode) : permissions.queryPermission(mode));
    if (state === 'granted') return await kept.getFile();
    return state === 'prompt' ? 'ask' : null;
  } catch {
    return null;
  }
}
