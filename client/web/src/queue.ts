/** The queue: who is digested and sent when; what waits, goes on, is given up. Its states: core/upload-states.ts; how one is sent: sender.ts. */
import type { FileJson } from '../../../server/wire/files.ts';
import { endUpload } from './api.ts';
import { onAccepted } from './access.ts';
import { type Chosen, itemOf, waitingFor } from './chosen.ts';
import { type HashOutcome, startHashing } from './hasher.ts';
import { type FailReason, type Item, type StallReason } from './item.ts';
import { freshFile, holdUpload, keepFile, keptFile, type KeptFile } from './journal.ts';
import { withName } from './names.ts';
import { openNotebook } from './notebook.ts';
import { createRestorer } from './restore.ts';
import { createSender, isReadable } from './sender.ts';
import { nextToHash, nextToSend, stateAfter, type Step, waitAfter } from '../../core/upload-states.ts';

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
  /** Takes what is done off the list. */
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

export function createQueue(events: QueueEvents, limit: () => number | null): Queue {
  const items: Item[] = [];
  let moved = 0;
  const notebook = openNotebook();

  const send = createSender({
    change,
    step,
    note: (item) => notebook.note(item),
    moved: (item, bytes) => {
      moved += bytes;
      notebook.noteSoon(item);
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

  /** @returns false where this step means nothing to it as it stands; then nothing is changed. */
  function step(item: Item, name: Step, changes: Partial<Item> = {}): boolean {
    const state = stateAfter(name, { ...item, ...changes });
    if (state !== null) change(item, { ...changes, state });
    return state !== null;
  }

  /** Starts what may start. */
  function pump(): void {
    const next = nextToHash(items);
    if (next) hash(next);
    for (const item of nextToSend(items)) void send(item);
  }

  function hash(item: Item): void {
    if (!item.file || !step(item, 'hash')) return;
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
    step(item, 'digested', { md5, sha256 });
    notebook.note(item);
    pump();
  }

  function stall(item: Item, reason: StallReason, waitMs: number | null): void {
    const wait = waitMs ?? waitAfter(item.attempts);
    item.turn++;
    item.attempts++;
    step(item, 'stall', { stall: reason });
    if (item.timer !== null) clearTimeout(item.timer);
    // A token is waited for, not asked about again and again.
    item.timer = reason === 'needsToken' ? null : window.setTimeout(() => wake(item), wait);
    pump();
  }

  function wake(item: Item): void {
    if (!step(item, 'wake')) return;
    if (item.timer !== null) clearTimeout(item.timer);
    item.timer = null;
    pump();
  }

  function fail(item: Item, failure: FailReason, message = ''): void {
    item.turn++;
    // What was sent is gone, and what was read may be of another time.
    if (failure === 'mismatch') Object.assign(item, { md5: null, sha256: null, url: null, adopted: null, sent: 0 });
    step(item, 'fail', { failure, message, stall: null });
    events.onOver(item);
    pump();
  }

  function finish(item: Item, result: FileJson, state: 'done' | 'instant'): void {
    item.turn++;
    const { name } = result;
    const taken = { result, name, path: withName(item.path, name), sent: item.size };
    step(item, state === 'done' ? 'finish' : 'finishAtOnce', { ...taken, stall: null, file: null });
    notebook.strike(item);
    events.onOver(item);
    pump();
  }

  function add(chosen: readonly Chosen[]): void {
    const fresh: Item[] = [];
    for (const one of chosen) {
      const known = waitingFor(one, items);
      if (known?.state === 'interrupted') continueWith(known, { file: one.file, isSame: false });
      else if (known) renew(known, one);
      else fresh.push(begin(one));
    }
    items.push(...fresh);
    events.onList();
    for (const item of fresh) if (item.state === 'failed') events.onOver(item);
    pump();
  }

  function begin({ file, path, handle }: Chosen): Item {
    const item = itemOf({ file, path });
    if (isTooLarge(file)) Object.assign(item, { state: 'failed', failure: 'tooLarge' });
    else take(item, file, handle);
    return item;
  }

  /** From here on it survives the page: first the entry, then the file, as another tab lets go of files without one. */
  function take(item: Item, file: File, handle: FileSystemFileHandle | null): void {
    notebook.note(item);
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
    step(item, 'retry', { failure: null });
    take(item, file, handle);
  }

  function continueWith(item: Item, { file, isSame }: KeptFile): void {
    // Size and time do not tell all changes, and no more is told to a page: what comes from the disk is read
    // again, and goes on only if its bytes are the same.
    const { md5, sha256 } = isSame ? item : { md5: null, sha256: null };
    const urlMd5 = item.lastModified === file.lastModified ? item.urlMd5 : null;
    step(item, 'continue', { file, md5, sha256, urlMd5, lastModified: file.lastModified, needsClick: false });
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
      step(item, 'retry', { failure: null, message: '' });
    }
    pump();
    return true;
  }

  function remove(item: Item): void {
    item.turn++;
    if (item.timer !== null) clearTimeout(item.timer);
    item.hashing?.stop();
    items.splice(items.indexOf(item), 1);
    notebook.strike(item);
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
      const wasHashing = item.state === 'hashing';
      if (!step(item, 'pause', { stall: null })) return;
      if (wasHashing) item.hashing?.pause();
      if (item.transfer) item.transfer.pause();
      else if (!wasHashing) item.turn++;
      pump();
    },
    resume: (item) => {
      if (step(item, 'resume')) pump();
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
      for (const item of items.filter(({ result }) => result !== null)) remove(item);
    },
    bytesMoved: () => moved,
  };
}
