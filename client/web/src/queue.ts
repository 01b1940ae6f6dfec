/** The queue: digest, ask, send; wait for what passes, stop at what does not. */
import { ApiError, check, endUpload, type FileJson, getFile, uploadState } from './api.ts';
import { onAccepted } from './access.ts';
import { ownUrl } from './base.ts';
import { startHashing } from './hasher.ts';
import { type FailReason, isOver, isUnderWay, type Item, newItem, stallOf, type StallReason } from './item.ts';
import {
  heldUploads,
  holdUpload,
  type JournalEntry,
  keepFile,
  keptFile,
  readJournal,
  writeJournal,
} from './journal.ts';
import { acceptableName } from './names.ts';
import { startTransfer } from './transfer.ts';

export interface Chosen {
  file: File;
  /** With its folders. */
  path: string;
  handle: FileSystemFileHandle | null;
}

export interface Queue {
  readonly items: readonly Item[];
  add(chosen: readonly Chosen[]): void;
  pause(item: Item): void;
  resume(item: Item): void;
  retry(item: Item): void;
  /** Ends it, at the service too, and takes it off the list. */
  cancel(item: Item): void;
  /** Goes on with a file that the browser has kept, asking for leave. */
  goOn(item: Item): Promise<boolean>;
  clear(): void;
  /** Bytes that went over the line since the page was opened. */
  bytesMoved(): number;
}

export interface QueueEvents {
  onChange(item: Item): void;
  /** Items came or went. */
  onList(): void;
  /** One is done, or has failed. */
  onOver(item: Item): void;
}

/** HTTP/1.1 browsers open six connections: some are left for the list and its events. */
const SENDING_AT_ONCE = 3;
const WAITS_MS = [500, 1_000, 2_000, 4_000, 8_000];
const NOTE_EVERY_MS = 1_000;
const LOOK_AGAIN_MS = 3_000;

export function createQueue(events: QueueEvents, limit: () => number | null): Queue {
  const items: Item[] = [];
  let moved = 0;
  /** Items whose journal entry is behind. */
  const unwritten = new Set<Item>();

  function change(item: Item, changes: Partial<Item>): void {
    Object.assign(item, changes);
    events.onChange(item);
  }

  /** Starts what may start. */
  function pump(): void {
    if (!items.some((item) => item.state === 'hashing')) {
      const next = items.find((item) => item.state === 'queued');
      if (next) hash(next);
    }
    const active = items.filter((item) => item.state === 'checking' || item.state === 'sending');
    for (const item of items) {
      if (active.length >= SENDING_AT_ONCE) return;
      if (item.state !== 'ready') continue;
      // The same bytes twice: the second one is instant when the first is done.
      if (active.some((other) => other.md5 === item.md5 && other.size === item.size)) continue;
      active.push(item);
      void send(item);
    }
  }

  function hash(item: Item): void {
    if (!item.file) return;
    change(item, { state: 'hashing' });
    if (item.hashing) {
      item.hashing.resume();
      return;
    }
    const { turn } = item;
    item.hashed = 0;
    item.hashing = startHashing(item.file, (hashed) => change(item, { hashed }));
    void item.hashing.md5.then((md5) => {
      item.hashing = null;
      if (item.turn !== turn) return;
      if (md5 === null) fail(item, 'fileChanged');
      else {
        change(item, { md5, state: item.state === 'paused' ? 'paused' : 'ready' });
        note(item);
      }
      pump();
    });
  }

  async function send(item: Item): Promise<void> {
    const { file, md5 } = item;
    if (!file || md5 === null) return;
    if (item.transfer) {
      change(item, { state: 'sending', stall: null });
      item.transfer.resume();
      return;
    }
    const turn = ++item.turn;
    change(item, { state: 'checking' });
    try {
      const known = await check(md5, item.size, item.name);
      if (item.turn !== turn) return;
      if (known.status === 'exists') {
        if (known.file) finish(item, known.file, item.sent === 0 ? 'instant' : 'done');
        else fail(item, 'failed');
        return;
      }
      const resume = known.resume ? ownUrl(known.resume.url) : null;
      if (known.status === 'uploading' && (item.url === null || item.url !== resume)) {
        stall(item, 'elsewhere', 3_000);
        return;
      }
      item.url ??= resume;
      transfer(item, file, md5, turn);
    } catch (error) {
      if (item.turn === turn) await meet(item, error);
    }
  }

  function transfer(item: Item, file: File, md5: string, turn: number): void {
    let before: number | null = null;
    const isCurrent = (): boolean => item.turn === turn;
    change(item, { state: 'sending' });
    item.transfer = startTransfer(
      file,
      { name: item.name, path: item.path, md5, url: item.url },
      {
        onUrl: (url) => {
          item.url = url;
          note(item);
        },
        onRestart: () => {
          change(item, { url: null, sent: 0, fromStart: true });
          before = null;
        },
        onProgress: (sent) => {
          if (!isCurrent()) return;
          moved += Math.max(0, sent - (before ?? sent));
          before = sent;
          item.attempts = 0;
          change(item, { sent, stall: null });
          unwritten.add(item);
        },
        onDone: (fileId) => {
          item.transfer = null;
          if (isCurrent()) void verify(item, fileId, turn);
        },
        onFailed: (error) => {
          item.transfer = null;
          if (isCurrent()) void meet(item, error);
        },
      },
    );
  }

  /** "Complete" is believed when the catalog has the file, with these bytes. */
  async function verify(item: Item, fileId: string | null, turn: number): Promise<void> {
    try {
      const { md5, size, name } = item;
      if (md5 === null) return;
      if (fileId === null) {
        const known = await check(md5, size, name);
        if (item.turn !== turn) return;
        if (known.status === 'exists' && known.file) finish(item, known.file, 'done');
        else fail(item, 'failed');
        return;
      }
      const file = await getFile(fileId);
      if (item.turn !== turn) return;
      if (file.md5 === md5 && file.size === size) finish(item, file, 'done');
      else fail(item, 'mismatch');
    } catch (error) {
      if (item.turn === turn) await meet(item, error);
    }
  }

  /** Something stood in the way: of the line, the service, or the file. */
  async function meet(item: Item, error: unknown): Promise<void> {
    const { turn } = item;
    const known = error instanceof ApiError ? error : new ApiError('unknown', 0, String(error));
    if (known.code === 'offline' && !(await isReadable(item))) {
      if (item.turn === turn) fail(item, 'fileChanged');
      return;
    }
    if (item.turn !== turn) return;
    const reason = stallOf(known);
    if (reason) {
      stall(item, reason, WAITS_MS[Math.min(item.attempts, WAITS_MS.length - 1)] ?? 0);
      return;
    }
    // The upload is no more: begin a new one.
    if ((known.status === 404 || known.status === 410) && item.url !== null) {
      change(item, { url: null, sent: 0, fromStart: true });
      stall(item, 'restarting', 0);
      return;
    }
    if (known.code === 'digest_mismatch') {
      Object.assign(item, { md5: null, url: null, sent: 0 });
      fail(item, 'mismatch');
    } else if (known.status === 413) fail(item, 'tooLarge');
    else if (known.status >= 400 && known.status < 500) fail(item, 'refused', known.message);
    else fail(item, 'failed');
  }

  function stall(item: Item, reason: StallReason, waitMs: number): void {
    item.turn++;
    item.attempts++;
    change(item, { state: 'stalled', stall: reason });
    if (item.timer !== null) clearTimeout(item.timer);
    // A token is waited for, not asked about again and again.
    item.timer = reason === 'needsToken' ? null : window.setTimeout(() => wake(item), waitMs);
    pump();
  }

  function wake(item: Item): void {
    if (item.state !== 'stalled') return;
    if (item.timer !== null) clearTimeout(item.timer);
    item.timer = null;
    if (item.stall === 'lostLine' && !navigator.onLine) return;
    change(item, { state: item.md5 === null ? 'queued' : 'ready' });
    pump();
  }

  function fail(item: Item, failure: FailReason, message = ''): void {
    item.turn++;
    change(item, { state: 'failed', failure, message, stall: null });
    events.onOver(item);
    pump();
  }

  function finish(item: Item, result: FileJson, state: 'done' | 'instant'): void {
    item.turn++;
    change(item, { state, result, sent: item.size, stall: null, file: null });
    unwritten.delete(item);
    writeJournal([], [item.id]);
    events.onOver(item);
    pump();
  }

  /** Writes down where it stands. */
  function note(...changed: Item[]): void {
    writeJournal(changed.map(entryOf));
  }

  setInterval(() => {
    if (unwritten.size === 0) return;
    note(...[...unwritten].filter((item) => !isOver(item)));
    unwritten.clear();
  }, NOTE_EVERY_MS);

  function add(chosen: readonly Chosen[]): void {
    const fresh: Item[] = [];
    for (const one of chosen) {
      const known = items.find(
        (item) => item.state === 'interrupted' && item.path === one.path && item.size === one.file.size,
      );
      if (known) continueWith(known, one.file);
      else fresh.push(begin(one));
    }
    items.push(...fresh);
    events.onList();
    const taken = fresh.filter((item) => item.state !== 'failed');
    note(...taken);
    for (const item of taken) holdUpload(item.id);
    for (const item of fresh) if (item.state === 'failed') events.onOver(item);
    pump();
  }

  function begin({ file, path, handle }: Chosen): Item {
    const id = crypto.getRandomValues(new Uint32Array(3)).join('-');
    const item = newItem({ id, name: acceptableName(file.name), path, size: file.size, file });
    const most = limit();
    if (most !== null && file.size > most) Object.assign(item, { state: 'failed', failure: 'tooLarge' });
    else void keepFile(id, file, handle);
    return item;
  }

  function continueWith(item: Item, file: File): void {
    const entry = readJournal().find(({ id }) => id === item.id);
    // Touched since: it is read again, and goes on only if its bytes are the same.
    if (entry?.lastModified !== file.lastModified) Object.assign(item, { md5: null });
    change(item, { file, needsClick: false, state: item.md5 === null ? 'queued' : 'ready' });
    holdUpload(item.id);
  }

  /** What earlier lives of the page have left. */
  async function restore(): Promise<void> {
    const held = await heldUploads().catch(() => new Set<string>());
    const entries = readJournal().filter(({ id }) => !held.has(id) && !items.some((item) => item.id === id));
    for (const entry of entries) {
      items.push(Object.assign(newItem({ ...entry, file: null }), { ...entry, state: 'interrupted' }));
    }
    if (entries.length > 0) events.onList();
    await Promise.all(items.filter((item) => item.state === 'interrupted').map((item) => revive(item)));
  }

  async function revive(item: Item): Promise<void> {
    await lookUp(item);
    if (item.state !== 'interrupted') return;
    const file = await keptFile(item.id, false);
    if (item.state !== 'interrupted') return;
    // What was on the line when the page went may have arrived since.
    window.setTimeout(() => void lookUp(item), LOOK_AGAIN_MS);
    if (file === 'ask') change(item, { needsClick: true });
    else if (file) {
      continueWith(item, file);
      pump();
    }
  }

  /** How much of it the service has by now. */
  async function lookUp(item: Item): Promise<void> {
    if (item.url === null || item.state !== 'interrupted') return;
    const state = await uploadState(item.url).catch(() => undefined);
    if (state === undefined || item.state !== 'interrupted') return;
    if (state === null) change(item, { url: null, sent: 0, fromStart: true });
    else if (state.fileId !== null) {
      const result = await getFile(state.fileId).catch(() => null);
      if (result) finish(item, result, 'done');
    } else change(item, { sent: state.offset });
  }

  function remove(item: Item): void {
    item.turn++;
    if (item.timer !== null) clearTimeout(item.timer);
    item.hashing?.stop();
    items.splice(items.indexOf(item), 1);
    unwritten.delete(item);
    writeJournal([], [item.id]);
    events.onList();
    pump();
  }

  for (const wakeUp of ['online', 'pageshow'] as const) {
    window.addEventListener(wakeUp, () => {
      for (const item of items) if (item.stall === 'lostLine') wake(item);
    });
  }
  onAccepted(() => {
    for (const item of items) {
      if (item.stall === 'needsToken') wake(item);
      else if (item.state === 'interrupted') void revive(item);
    }
  });
  void restore();

  return {
    items,
    add,
    pause: (item) => {
      if (!isUnderWay(item) || item.state === 'paused') return;
      if (item.state === 'hashing') item.hashing?.pause();
      if (item.transfer) item.transfer.pause();
      else if (item.state !== 'hashing') item.turn++;
      change(item, { state: 'paused', stall: null });
      pump();
    },
    resume: (item) => {
      if (item.state !== 'paused') return;
      change(item, { state: item.md5 === null ? 'queued' : 'ready' });
      pump();
    },
    retry: (item) => {
      if (item.state !== 'failed' || !item.file || item.failure === 'tooLarge') return;
      item.attempts = 0;
      change(item, { state: item.md5 === null ? 'queued' : 'ready', failure: null, message: '' });
      pump();
    },
    cancel: (item) => {
      if (item.transfer) item.transfer.cancel();
      else if (item.url !== null && !item.result) void endUpload(item.url).catch(() => undefined);
      remove(item);
    },
    goOn: async (item) => {
      const file = await keptFile(item.id, true);
      if (item.state !== 'interrupted' || !(file instanceof File)) return false;
      continueWith(item, file);
      pump();
      return true;
    },
    clear: () => {
      for (const item of items.filter(isOver)) remove(item);
    },
    bytesMoved: () => moved,
  };
}

function entryOf(item: Item): JournalEntry {
  const { id, name, path, size, md5, url, sent } = item;
  return { id, name, path, size, md5, url, sent, lastModified: item.file?.lastModified ?? 0, at: Date.now() };
}

/** A file that has changed since it was chosen can't be read any more; the browser's error for it is that of a lost line. */
async function isReadable({ file, size }: Item): Promise<boolean> {
  try {
    await file?.slice(0, Math.min(size, 1)).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
