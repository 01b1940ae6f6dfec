/** The queue: who is digested and sent when; what waits, goes on, is given up. How one is sent: sender.ts. */
import { endUpload, type FileJson } from './api.ts';
import { onAccepted } from './access.ts';
import { type HashOutcome, startHashing } from './hasher.ts';
import { type FailReason, isOver, isUnderWay, type Item, newItem, type StallReason } from './item.ts';
import {
  forget,
  freshFile,
  holdUpload,
  type JournalEntry,
  keepFile,
  keptFile,
  type KeptFile,
  writeJournal,
} from './journal.ts';
import { acceptableName, acceptablePath, withName } from './names.ts';
import { createRestorer } from './restore.ts';
import { createSender, isReadable } from './sender.ts';

export interface Chosen {
  file: File;
  /** With its folders. */
  path: string;
  handle: FileSystemFileHandle | null;
}

export interface Queue {
  readonly items: readonly Item[];
  /** Resolves when what earlier lives of the page have left is listed. */
  readonly restored: Promise<void>;
  /** What is chosen again goes on where it stopped. */
  add(chosen: readonly Chosen[]): void;
  pause(item: Item): void;
  resume(item: Item): void;
  /** @returns false when its file has to be chosen again. */
  retry(item: Item): Promise<boolean>;
  /** Ends it, at the service too, and takes it off the list. */
  cancel(item: Item): void;
  /**
   * Goes on with a file that the browser has kept, asking for leave.
   *
   * @returns false when its file has to be chosen again.
   */
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

export function createQueue(events: QueueEvents, limit: () => number | null): Queue {
  const items: Item[] = [];
  let moved = 0;
  /** How many, since the page was opened. */
  let begun = 1e6;
  /** Items whose journal entry is behind. */
  const unwritten = new Set<Item>();

  const send = createSender({
    change,
    note: (item) => note(item),
    moved: (item, bytes) => {
      moved += bytes;
      unwritten.add(item);
    },
    finish,
    fail,
    stall,
    findLeft: (url) => items.find((item) => item.state === 'interrupted' && item.url === url),
    letGo: remove,
  });
  const restorer = createRestorer({
    items,
    change,
    finish,
    goOn: (item, kept) => {
      continueWith(item, kept);
      pump();
    },
    onList: () => events.onList(),
  });

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
      if (active.some((other) => other.sha256 === item.sha256 && other.size === item.size)) continue;
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
    void item.hashing.outcome.then((outcome) => {
      item.hashing = null;
      if (item.turn === turn) takeOutcome(item, outcome);
    });
  }

  function takeOutcome(item: Item, outcome: HashOutcome): void {
    if ('problem' in outcome) {
      if (outcome.problem === 'unreadable') fail(item, 'fileChanged');
      else stall(item, 'lostLine', null);
      return;
    }
    const { md5, sha256 } = outcome;
    // An upload of an earlier edition of the page declared its MD5 alone: what it began is compared once it is whole.
    const isSame = item.urlSha256 === null ? item.urlMd5 === md5 : item.urlSha256 === sha256;
    // Chosen again, and no longer the same: what was begun is of no use.
    if (item.url !== null && !isSame) {
      if (item.adopted === null || item.adopted.isOurs) void endUpload(item.url).catch(() => undefined);
      Object.assign(item, { url: null, adopted: null, sent: 0 });
    }
    change(item, { md5, sha256, state: item.state === 'paused' ? 'paused' : 'ready' });
    note(item);
    pump();
  }

  function stall(item: Item, reason: StallReason, waitMs: number | null): void {
    const wait = waitMs ?? WAITS_MS[Math.min(item.attempts, WAITS_MS.length - 1)] ?? 0;
    item.turn++;
    item.attempts++;
    change(item, { state: 'stalled', stall: reason });
    if (item.timer !== null) clearTimeout(item.timer);
    // A token is waited for, not asked about again and again.
    item.timer = reason === 'needsToken' ? null : window.setTimeout(() => wake(item), wait);
    pump();
  }

  function wake(item: Item): void {
    if (item.state !== 'stalled') return;
    if (item.timer !== null) clearTimeout(item.timer);
    item.timer = null;
    change(item, { state: item.md5 === null ? 'queued' : 'ready' });
    pump();
  }

  function fail(item: Item, failure: FailReason, message = ''): void {
    item.turn++;
    // What was sent is gone, and what was read may be of another time.
    if (failure === 'mismatch') Object.assign(item, { md5: null, sha256: null, url: null, adopted: null, sent: 0 });
    change(item, { state: 'failed', failure, message, stall: null });
    events.onOver(item);
    pump();
  }

  function finish(item: Item, result: FileJson, state: 'done' | 'instant'): void {
    item.turn++;
    const { name } = result;
    change(item, { state, result, name, path: withName(item.path, name), sent: item.size, stall: null, file: null });
    unwritten.delete(item);
    forget([item.id]);
    events.onOver(item);
    pump();
  }

  /** Writes down where it stands, so that a crash of the browser does not forget it. */
  function note(...changed: Item[]): void {
    writeJournal(changed.map(entryOf), 'strict');
  }

  setInterval(() => {
    if (unwritten.size === 0) return;
    // The service knows better; this is what is shown until it is asked.
    writeJournal([...unwritten].filter((item) => !isOver(item)).map(entryOf), 'relaxed');
    unwritten.clear();
  }, NOTE_EVERY_MS);

  function add(chosen: readonly Chosen[]): void {
    const fresh: Item[] = [];
    for (const one of chosen) {
      const known = waitingFor(one);
      if (known?.state === 'interrupted') continueWith(known, { file: one.file, isSame: false });
      else if (known) renew(known, one);
      else fresh.push(begin(one));
    }
    items.push(...fresh);
    events.onList();
    for (const item of fresh) if (item.state === 'failed') events.onOver(item);
    pump();
  }

  /** The item whose file this is, where one waits for its file. */
  function waitingFor({ file, path }: Chosen): Item | undefined {
    const waiting = items.filter(
      (item) =>
        (item.state === 'interrupted' && item.size === file.size) ||
        (item.state === 'failed' && item.failure === 'fileChanged'),
    );
    const wanted = acceptablePath(path);
    const exactly = waiting.find((item) => acceptablePath(item.path) === wanted);
    if (exactly) return exactly;
    // Of a folder, and chosen again by itself.
    const likely = waiting.filter((item) => acceptablePath(item.path).endsWith(`/${wanted}`));
    return likely.length === 1 ? likely[0] : undefined;
  }

  function begin({ file, path, handle }: Chosen): Item {
    // In the order in which they were begun, for the journal.
    const id = [Date.now(), ++begun, crypto.getRandomValues(new Uint32Array(1))[0]].join('-');
    const item = newItem({
      id,
      name: acceptableName(file.name),
      path: acceptablePath(path),
      size: file.size,
      lastModified: file.lastModified,
      file,
    });
    if (isTooLarge(file)) Object.assign(item, { state: 'failed', failure: 'tooLarge' });
    else take(item, file, handle);
    return item;
  }

  /** From here on it survives the page: first the entry, then the file, as another tab lets go of files without one. */
  function take(item: Item, file: File, handle: FileSystemFileHandle | null): void {
    note(item);
    keepFile(item.id, file, handle);
    holdUpload(item.id);
  }

  function isTooLarge(file: File): boolean {
    const most = limit();
    return most !== null && file.size > most;
  }

  /** The file has changed: it begins with what it is now. */
  function renew(item: Item, { file, handle }: Pick<Chosen, 'file' | 'handle'>): void {
    Object.assign(item, {
      file,
      size: file.size,
      lastModified: file.lastModified,
      md5: null,
      sha256: null,
      hashed: 0,
      sent: 0,
      attempts: 0,
    });
    if (isTooLarge(file)) {
      fail(item, 'tooLarge');
      return;
    }
    change(item, { state: 'queued', failure: null });
    take(item, file, handle);
  }

  function continueWith(item: Item, { file, isSame }: KeptFile): void {
    // Size and time do not tell all changes, and no more is told to a page: what comes from the disk is read
    // again, and goes on only if its bytes are the same.
    const { md5, sha256 } = isSame ? item : { md5: null, sha256: null };
    const urlMd5 = item.lastModified === file.lastModified ? item.urlMd5 : null;
    change(item, {
      file,
      md5,
      sha256,
      urlMd5,
      lastModified: file.lastModified,
      needsClick: false,
      state: md5 === null ? 'queued' : 'ready',
    });
    holdUpload(item.id);
  }

  async function retry(item: Item): Promise<boolean> {
    if (item.state !== 'failed' || item.failure === 'tooLarge') return true;
    if (!(await isReadable(item))) {
      const file = await freshFile(item.id);
      if (!file) return false;
      renew(item, { file, handle: null });
    } else {
      item.attempts = 0;
      change(item, { state: item.md5 === null ? 'queued' : 'ready', failure: null, message: '' });
    }
    pump();
    return true;
  }

  function remove(item: Item): void {
    item.turn++;
    if (item.timer !== null) clearTimeout(item.timer);
    item.hashing?.stop();
    items.splice(items.indexOf(item), 1);
    unwritten.delete(item);
    forget([item.id]);
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
      else if (item.state === 'interrupted') void restorer.revive(item);
    }
  });

  return {
    items,
    restored: restorer.restore(),
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
    retry,
    cancel: (item) => {
      if (item.transfer) item.transfer.cancel();
      else if (item.url !== null && !item.result) void endUpload(item.url).catch(() => undefined);
      remove(item);
    },
    goOn: async (item) => {
      const kept = await keptFile(item.id, true);
      if (item.state !== 'interrupted' || kept === null || kept === 'ask') return false;
      continueWith(item, kept);
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
  const { id, name, path, size, lastModified, md5, sha256, url, urlMd5, urlSha256, adopted, sent } = item;
  const digests = { md5, sha256, urlMd5, urlSha256 };
  return { id, name, path, size, lastModified, ...digests, url, adopted, sent, at: Date.now() };
}
