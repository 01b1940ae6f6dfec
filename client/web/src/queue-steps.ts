/** What the queue does with an item: a function for each action. core/upload-states.ts has the table of the states. */
import type { FileJson } from '../../../server/wire/files.ts';
import { endUpload } from './api.ts';
import { type Chosen, itemOf, waitingFor } from './chosen.ts';
import { type HashOutcome, startHashing } from './hasher.ts';
import { type Item, uploadsOf, WITHOUT_UPLOAD } from './item.ts';
import { freshFile, holdUpload, keepFile, keptFile, type KeptFile } from './journal.ts';
import { type Notebook } from './notebook.ts';
import { isReadable } from './sender.ts';
import { atOnce } from './streams.ts';
import { isOursToEnd } from '../../core/claims.ts';
import type { FailReason, StallReason } from '../../core/refusals.ts';
import { nextToHash, nextToSend, stateAfter, type Step } from '../../core/upload-states.ts';
import { delayInPage } from '../../core/waits.ts';

export interface QueueEvents {
  onChange(item: Item): void;
  /** Items were added or removed. */
  onList(): void;
  /** An item is done, or has failed. */
  onOver(item: Item): void;
}

/** What the steps of the queue work on. */
export interface Desk {
  readonly items: Item[];
  readonly notebook: Notebook;
  readonly events: QueueEvents;
  /** Largest file that the service accepts, in bytes; null: no limit, or not known yet. */
  readonly limit: () => number | null;
  readonly send: (item: Item) => Promise<void>;
  /** Bytes sent since the page was opened. */
  bytesMoved: number;
}

export function change({ events }: Desk, item: Item, changes: Partial<Item>): void {
  Object.assign(item, changes);
  events.onChange(item);
}

/** Takes a step. @returns false where the step does nothing in the item's state; then `changes` are not made either. */
export function step(desk: Desk, item: Item, name: Step, changes: Partial<Item> = {}): boolean {
  const state = stateAfter(name, { ...item, ...changes });
  if (state !== null) change(desk, item, { ...changes, state });
  return state !== null;
}

/** Starts all hashing and sending that may start now. */
export function pump(desk: Desk): void {
  const next = nextToHash(desk.items);
  if (next) hash(desk, next);
  for (const item of nextToSend(desk.items, atOnce().files)) void desk.send(item);
}

function hash(desk: Desk, item: Item): void {
  if (!item.file || !step(desk, item, 'hash')) return;
  if (item.hashing) {
    item.hashing.resume();
    return;
  }
  const { turn } = item;
  item.hashed = 0;
  item.hashing = startHashing(item.file, (hashed) => change(desk, item, { hashed }));
  void item.hashing.outcome.then((outcome) => {
    item.hashing = null;
    if (item.turn === turn) takeOutcome(desk, item, outcome);
  });
}

function takeOutcome(desk: Desk, item: Item, outcome: HashOutcome): void {
  if ('problem' in outcome) {
    if (outcome.problem === 'unreadable') fail(desk, item, 'fileChanged');
    else stall(desk, item, 'lostLine', delayInPage(item.attempts, Math.random()));
    return;
  }
  const { md5, sha256 } = outcome;
  // An earlier version of the page declared only the MD5: such an upload is compared once it is complete.
  const isSame = item.urlSha256 === null ? item.urlMd5 === md5 : item.urlSha256 === sha256;
  // The user has chosen the file again, and it has changed: its former upload is of no use.
  if (uploadsOf(item).length > 0 && !isSame) {
    if (isOursToEnd(item)) endAtService(item);
    Object.assign(item, WITHOUT_UPLOAD);
  }
  step(desk, item, 'digested', { md5, sha256 });
  desk.notebook.note(item);
  pump(desk);
}

export function stall(desk: Desk, item: Item, reason: StallReason, waitMs: number): void {
  item.turn++;
  // Waiting for another client is no failure.
  if (reason !== 'elsewhere') item.attempts++;
  step(desk, item, 'stall', { stall: reason });
  stopTimer(item);
  // Without a token, retries are of no use: the item is woken once the user has given one.
  if (reason !== 'needsToken') item.timer = window.setTimeout(() => wake(desk, item), waitMs);
  pump(desk);
}

function stopTimer(item: Item): void {
  if (item.timer !== null) clearTimeout(item.timer);
  item.timer = null;
}

export function wake(desk: Desk, item: Item): void {
  if (!step(desk, item, 'wake')) return;
  stopTimer(item);
  pump(desk);
}

export function fail(desk: Desk, item: Item, failure: FailReason, message = ''): void {
  item.turn++;
  // The service has removed the bytes, and the digests may be those of an earlier state of the file.
  if (failure === 'mismatch') Object.assign(item, { md5: null, sha256: null, ...WITHOUT_UPLOAD });
  step(desk, item, 'fail', { failure, message, stall: null });
  desk.events.onOver(item);
  pump(desk);
}

export function finish(desk: Desk, item: Item, result: FileJson, state: 'done' | 'instant'): void {
  item.turn++;
  const { name } = result;
  const taken = { result, name, path: name, sent: item.size };
  // The service would keep what it has joined for a while, and what it has not joined for longer.
  endAll(item.parts.map(({ url }) => url));
  step(desk, item, state === 'done' ? 'finish' : 'finishAtOnce', { ...taken, stall: null, file: null });
  desk.notebook.strike(item);
  desk.events.onOver(item);
  pump(desk);
}

/** Adds chosen files: a file that an item waits for resumes that item, any other becomes a new item. */
export function add(desk: Desk, chosen: readonly Chosen[]): void {
  const fresh: Item[] = [];
  for (const one of chosen) {
    const known = waitingFor(one, desk.items);
    if (known?.state === 'interrupted') continueWith(desk, known, { file: one.file, isSame: false });
    else if (known) renew(desk, known, one);
    else fresh.push(begin(desk, one));
  }
  desk.items.push(...fresh);
  desk.events.onList();
  for (const item of fresh) if (item.state === 'failed') desk.events.onOver(item);
  pump(desk);
}

function begin(desk: Desk, chosen: Chosen): Item {
  const { file, handle } = chosen;
  const item = itemOf(chosen);
  if (isTooLarge(desk, file)) Object.assign(item, { state: 'failed', failure: 'tooLarge' });
  else keep(desk, item, file, handle);
  return item;
}

/** Makes the item survive the page. The entry comes first: another tab drops files that have no entry in the journal. */
function keep({ notebook }: Desk, item: Item, file: File, handle: FileSystemFileHandle | null): void {
  notebook.note(item);
  keepFile(item.id, file, handle);
  holdUpload(item.id);
}

function isTooLarge({ limit }: Desk, file: File): boolean {
  const most = limit();
  return most !== null && file.size > most;
}

/** Begins the item anew with the file as it is now: the file has changed. */
function renew(desk: Desk, item: Item, { file, handle }: Pick<Chosen, 'file' | 'handle'>): void {
  const { size, lastModified } = file;
  const unread = { md5: null, sha256: null, isProofRefused: false, hashed: 0, sent: 0, attempts: 0, begunAnew: 0 };
  Object.assign(item, { file, size, lastModified, ...unread });
  if (isTooLarge(desk, file)) {
    fail(desk, item, 'tooLarge');
    return;
  }
  step(desk, item, 'retry', { failure: null });
  keep(desk, item, file, handle);
}

/** Resumes an interrupted item with its file. */
export function continueWith(desk: Desk, item: Item, { file, isSame }: KeptFile): void {
  // Size and time of modification do not show every change, and a page learns no more of a file. So a file from the disk is
  // hashed again, and resumes its upload only if its bytes are the same.
  const { md5, sha256 } = isSame ? item : { md5: null, sha256: null };
  const urlMd5 = item.lastModified === file.lastModified ? item.urlMd5 : null;
  step(desk, item, 'continue', { file, md5, sha256, urlMd5, lastModified: file.lastModified, needsClick: false });
  holdUpload(item.id);
}

export function pause(desk: Desk, item: Item): void {
  const wasHashing = item.state === 'hashing';
  if (!step(desk, item, 'pause', { stall: null })) return;
  if (wasHashing) item.hashing?.pause();
  if (item.transfer) item.transfer.pause();
  else if (!wasHashing) item.turn++;
  pump(desk);
}

export function resume(desk: Desk, item: Item): void {
  item.begunAnew = 0;
  if (step(desk, item, 'resume')) pump(desk);
}

/** Retries a failed item. @returns false where the user has to choose its file again. */
export async function retry(desk: Desk, item: Item): Promise<boolean> {
  if (item.state !== 'failed' || item.failure === 'tooLarge') return true;
  if (await isReadable(item)) {
    Object.assign(item, { attempts: 0, begunAnew: 0 });
    step(desk, item, 'retry', { failure: null, message: '' });
  } else {
    const file = await freshFile(item.id);
    if (!file) return false;
    renew(desk, item, { file, handle: null });
  }
  pump(desk);
  return true;
}

/** Resumes an interrupted item with the file that the browser has kept. @returns false where the user has to choose it again. */
export async function resumeKept(desk: Desk, item: Item): Promise<boolean> {
  const kept = await keptFile(item.id, true);
  if (item.state !== 'interrupted' || kept === null || kept === 'ask') return false;
  continueWith(desk, item, kept);
  pump(desk);
  return true;
}

/** Removes an item, and ends its upload at the service, unless another client needs that upload. */
export function cancel(desk: Desk, item: Item): void {
  const { transfer } = item;
  if (!isOursToEnd(item)) transfer?.stop();
  else if (transfer) transfer.cancel();
  else if (!item.result) endAtService(item);
  remove(desk, item);
}

function endAtService(item: Item): void {
  endAll(uploadsOf(item));
}

/** Ends uploads at the service. Where this fails, they expire by themselves. */
function endAll(urls: readonly string[]): void {
  for (const url of urls) void endUpload(url).catch(() => undefined);
}

/** Removes an item from the queue and the journal. Its upload stays at the service. */
export function remove(desk: Desk, item: Item): void {
  item.turn++;
  stopTimer(item);
  item.hashing?.stop();
  desk.items.splice(desk.items.indexOf(item), 1);
  desk.notebook.strike(item);
  desk.events.onList();
  pump(desk);
}
