/** Sends one file whose digests are known: asks the service, sends, verifies. Reports every obstacle to the queue. */
import type { CheckJson } from '../../../server/wire/check.ts';
import type { FileJson } from '../../../server/wire/files.ts';
import { isBegunFor, mayBeginAnew, replacesAnother } from '../../core/beginnings.ts';
import { type Sender, watchOtherSender, whatToDo } from '../../core/other-sender.ts';
import { type FailReason, isTakenOver, meaningOf, NO_ANSWER, type StallReason } from '../../core/refusals.ts';
import type { Step } from '../../core/upload-states.ts';
import { howToSend, takesParts } from '../../core/upload-parts.ts';
import { delayInPage } from '../../core/waits.ts';
import { ApiError, check, getFile, serviceOffers, uploadState } from './api.ts';
import { ownUrl } from './base.ts';
import { compare, contentOf, namedAs } from './compare.ts';
import { giveName } from './give-name.ts';
import { type Item, uploadsOf, WITHOUT_UPLOAD } from './item.ts';
import type { PartsEvents } from './part-uploads.ts';
import { checkByProof } from './possession.ts';
import type { Question } from './question.ts';
import { startPartsTransfer } from './parts-transfer.ts';
import { atOnce } from './streams.ts';
import { startTransfer, type TransferEvents } from './transfer.ts';

/** What the sender reports to the queue, and asks of it. */
export interface SenderEvents {
  change: (item: Item, changes: Partial<Item>) => void;
  /** As `change`, and takes a step to the next state. */
  step: (item: Item, name: Step, changes?: Partial<Item>) => boolean;
  /** The item has to be written to the journal now. */
  note(item: Item): void;
  /** Bytes were sent. */
  moved(item: Item, bytes: number): void;
  finish(item: Item, result: FileJson, state: 'done' | 'instant'): void;
  fail(item: Item, failure: FailReason, message?: string): void;
  stall(item: Item, reason: StallReason, waitMs: number): void;
  /** The user is asked about the item, or has answered: another one may be sent. */
  wait(item: Item, name: 'question' | 'answer'): void;
  /** The item from an earlier visit to the page that has this upload and still waits for its file. */
  findLeft(url: string): Item | undefined;
  /** Removes an item: another one has taken over its upload, or the user does not want it sent. */
  letGo(item: Item): void;
}

/** The time between looks at another client's upload. Many items may wait at once, so it is longer than the command's. */
const LOOK_AGAIN_MS = 3_000;
/** After a transfer has made progress for so long, the next obstacle counts as the first one again. */
const STEADY_MS = 5_000;

/** @returns a function that sends an item, or resumes it where it was paused. */
export function createSender(queue: SenderEvents): (item: Item) => Promise<void> {
  return (item) => send(queue, item);
}

async function send(queue: SenderEvents, item: Item): Promise<void> {
  const { file } = item;
  if (!file || item.md5 === null) return;
  if (item.transfer) {
    queue.step(item, 'send', { stall: null });
    item.transfer.resume();
    return;
  }
  const turn = ++item.turn;
  queue.step(item, 'ask');
  try {
    if (await isSettledByItsUpload(queue, item, turn)) return;
    if (item.question && !isAnswered(queue, item, item.question, turn)) return;
    const known = await checkByProof(item, file);
    if (item.turn !== turn) return;
    if (known.status === 'exists') {
      if (known.file) queue.finish(item, known.file, item.sent === 0 ? 'instant' : 'done');
      else queue.fail(item, 'failed');
      return;
    }
    if (mustWait(queue, item, known)) {
      queue.stall(item, 'elsewhere', LOOK_AGAIN_MS);
      return;
    }
    const resume = resumeOf(known);
    const isFree = uploadsOf(item).length === 0;
    if (isFree && resume !== null && resume !== item.avoided) await adopt(queue, item, resume);
    const inParts = await isSentInParts(item);
    if (item.turn === turn) transfer(queue, item, file, inParts);
  } catch (error) {
    if (item.turn === turn) await meet(queue, item, error);
  }
}

/**
 * Asks the user what becomes of the other file that has the name. The item waits for its turn again once there is an answer.
 *
 * @returns false where this one is not to be sent, or not yet.
 */
function isAnswered(queue: SenderEvents, item: Item, question: Question, turn: number): boolean {
  const answer = question.answerFor(item.name, item.md5 ?? '');
  if (answer === null) {
    queue.wait(item, 'question');
    void question.ask().then(() => {
      if (item.turn === turn) queue.wait(item, 'answer');
    });
    return false;
  }
  item.question = null;
  if (answer === 'skip') queue.letGo(item);
  else {
    item.onConflict = answer === 'replace' ? 'replace' : null;
    queue.note(item);
  }
  return answer !== 'skip';
}

/**
 * Looks at the item's upload where another client may have sent to it.
 *
 * @returns true where nothing is left to send for now: the upload is published, or the item waits for its sender.
 */
async function isSettledByItsUpload(queue: SenderEvents, item: Item, turn: number): Promise<boolean> {
  const { url } = item;
  if (url === null || (item.adopted === null && !item.takenOver)) return false;
  const state = await uploadState(url);
  if (item.turn !== turn) return true;
  if (state === null) return false;
  if (state.fileId !== null) {
    // The file may have another name yet: `check` with the wanted name would add a second file.
    await verify(queue, item, state.fileId, turn);
    return true;
  }
  if (!item.takenOver || state.offset === item.size) return false;
  const verdict = watchOf(item, url)(performance.now(), state.offset, state.idle);
  if (verdict === 'moving') {
    queue.change(item, { sent: state.offset });
    queue.stall(item, 'elsewhere', LOOK_AGAIN_MS);
    return true;
  }
  Object.assign(item, { takenOver: false, watch: null });
  if (verdict === 'slow' && mayBeginAnew(item.begunAnew)) {
    queue.change(item, { ...WITHOUT_UPLOAD, avoided: url, begunAnew: item.begunAnew + 1 });
  }
  return false;
}

function resumeOf(known: CheckJson): string | null {
  return known.status !== 'exists' && known.resume ? ownUrl(known.resume.url) : null;
}

/** Whether to wait for another client that sends the same bytes. */
function mustWait(queue: SenderEvents, item: Item, known: CheckJson): boolean {
  if (known.status === 'exists' || !known.resume) return false;
  const { resume } = known;
  const url = ownUrl(resume.url);
  if (url === item.url || url === item.avoided) return false;
  const left = queue.findLeft(url);
  const sender: Sender = left === undefined || left.takenOver ? 'unknown' : 'ended';
  const next = whatToDo(sender, known.status === 'uploading', () =>
    watchOf(item, url)(performance.now(), resume.offset, resume.idle),
  );
  if (next === 'wait') return true;
  if (next === 'avoid') item.avoided = url;
  item.watch = null;
  return false;
}

/** The item's own watch of an upload. It begins with the first look, and begins again after a time without looks. */
function watchOf(item: Item, url: string): ReturnType<typeof watchOtherSender> {
  if (item.watch?.url !== url) item.watch = { url, judge: watchOtherSender(performance.now(), item.size) };
  return item.watch.judge;
}

/** Lets the item resume an unfinished upload, where that was begun for the very same bytes. */
async function adopt(queue: SenderEvents, item: Item, url: string): Promise<void> {
  const { turn, md5, sha256 } = item;
  const state = await uploadState(url);
  if (item.turn !== turn || state === null || !isBegunFor(state.sha256, sha256)) return;
  // By the command, for example. The page replaces nothing.
  if (replacesAnother(state, item.name)) return;
  const left = queue.findLeft(url);
  const isOurs = left !== undefined && (left.adopted === null || left.adopted.isOurs);
  const shared = left?.shared ?? false;
  Object.assign(item, { url, urlMd5: md5, urlSha256: sha256, adopted: { name: state.name, isOurs }, shared });
  // The new owner of the upload is written to the journal before the former one is removed: a crash loses neither.
  queue.note(item);
  if (left) queue.letGo(left);
}

/** Whether the item is sent in parts: as the user has set it, or as it was begun. */
async function isSentInParts({ size, url, parts }: Item): Promise<boolean> {
  const hasParts = parts.length > 0;
  const wantsStreams = atOnce().streams > 1;
  if (howToSend({ size, wantsStreams, hasParts, hasWhole: url !== null && !hasParts }) === 'whole') return false;
  return takesParts(await serviceOffers(), size);
}

function transfer(queue: SenderEvents, item: Item, file: File, inParts: boolean): void {
  const { name, onConflict, md5, sha256, url, parts, mayHaveFinal, turn } = item;
  if (md5 === null || sha256 === null) return;
  queue.step(item, 'send');
  const about = { name, onConflict, md5, sha256, url };
  const events = eventsOf(queue, item, turn);
  const { streams } = atOnce();
  item.transfer = inParts
    ? startPartsTransfer(file, { ...about, parts, mayHaveFinal, streams }, events)
    : startTransfer(file, about, events);
}

/** Turns the events of a transfer into changes of its item. */
function eventsOf(queue: SenderEvents, item: Item, turn: number): TransferEvents & PartsEvents {
  const { md5, sha256 } = item;
  const begunAt = Date.now();
  let before: number | null = null;
  const isCurrent = (): boolean => item.turn === turn;
  return {
    onLife: (lifeMs) => {
      if (isCurrent()) item.lifeMs = lifeMs;
    },
    onUrl: (url) => {
      const claim = { adopted: null, shared: false, mayHaveFinal: false };
      Object.assign(item, { url, urlMd5: md5, urlSha256: sha256, ...claim });
      queue.note(item);
    },
    onParts: ({ parts, mayHaveFinal, isFinalLost }) => {
      Object.assign(item, { parts, mayHaveFinal, urlMd5: md5, urlSha256: sha256 });
      if (isFinalLost) item.url = null;
      queue.note(item);
    },
    onGone: () => {
      if (!mayBeginAnew(item.begunAnew)) return 'fail';
      beginAnew(queue, item);
      before = null;
      return 'beginAnew';
    },
    onProgress: (sent) => {
      if (!isCurrent()) return;
      if (Date.now() - begunAt > STEADY_MS) item.attempts = 0;
      queue.change(item, { sent, stall: null });
      queue.moved(item, Math.max(0, sent - (before ?? sent)));
      before = sent;
    },
    onDone: (fileId) => {
      item.transfer = null;
      if (isCurrent()) void verify(queue, item, fileId, turn);
    },
    onFailed: (error) => {
      item.transfer = null;
      if (isCurrent()) void meet(queue, item, error);
    },
  };
}

/** Forgets an upload that is gone: the file is sent from its first byte. */
function beginAnew(queue: SenderEvents, item: Item): void {
  queue.change(item, { ...WITHOUT_UPLOAD, fromStart: true, begunAnew: item.begunAnew + 1 });
}

/** Finishes the item only once the catalog has its file with these bytes. @param told - the file's id, from the answer. */
async function verify(queue: SenderEvents, item: Item, told: string | null, turn: number): Promise<void> {
  try {
    // The last answer need not have the file's id: a HEAD has it, too.
    const fileId = told ?? (item.url === null ? null : ((await uploadState(item.url))?.fileId ?? null));
    const found = fileId === null ? await findPublished(item) : await getFile(fileId);
    const compared = found && (await compare(item, found));
    if (item.turn !== turn) return;
    // Refusals on the way no longer matter.
    item.refusal = null;
    if (!compared) queue.fail(item, 'failed');
    else if (compared.verdict === 'same') await finish(queue, item, compared.file, turn);
    else if (compared.verdict === 'otherBytes') queue.fail(item, 'mismatch');
    else {
      // Another client sent other bytes than it declared: next time the file is sent from its first byte.
      Object.assign(item, WITHOUT_UPLOAD);
      queue.fail(item, 'failed');
    }
  } catch (error) {
    if (item.turn === turn) await meet(queue, item, error);
  }
}

async function findPublished(item: Item): Promise<FileJson | null> {
  const known = await check(contentOf(item), namedAs(item));
  return (known.status === 'exists' && known.file) || null;
}

/**
 * Finishes the item with a file of its own name. Where the service adds no file without the bytes (INSTANT=off), another
 * client's file keeps its name, and this one's bytes are sent.
 */
async function finish(queue: SenderEvents, item: Item, file: FileJson, turn: number): Promise<void> {
  const named = await giveName(file, item, item.adopted);
  if (item.turn !== turn) return;
  if (named) {
    queue.finish(item, named, 'done');
    return;
  }
  Object.assign(item, WITHOUT_UPLOAD);
  const inParts = await isSentInParts(item);
  if (item.turn === turn && item.file) transfer(queue, item, item.file, inParts);
}

/** Reacts to an error: of the connection, the service, or the file. */
async function meet(queue: SenderEvents, item: Item, error: unknown): Promise<void> {
  const { turn } = item;
  const known = error instanceof ApiError ? error : new ApiError('unknown', 0, String(error));
  if (known.code === NO_ANSWER && !(await isReadable(item))) {
    if (item.turn === turn) queue.fail(item, 'fileChanged');
    return;
  }
  if (item.turn !== turn) return;
  item.refusal = { code: known.code, status: known.status };
  if (isTakenOver(known) && item.url !== null) {
    Object.assign(item, { shared: true, takenOver: true });
    queue.note(item);
  }
  const meaning = meaningOf(known, uploadsOf(item).length > 0 && mayBeginAnew(item.begunAnew));
  if (meaning.stall === 'beginAgain') beginAnew(queue, item);
  const waitMs = meaning.stall === 'smaller' ? 0 : delayInPage(item.attempts, Math.random(), known);
  if (meaning.stall) queue.stall(item, meaning.stall, waitMs);
  else queue.fail(item, meaning.failure, known.message);
}

/**
 * Whether the item's file can still be read. A file that has changed since it was chosen cannot; when it is sent, the
 * browser reports the same error as for a lost connection.
 */
export async function isReadable({ file, size }: Item): Promise<boolean> {
  try {
    if (!file) return false;
    await file.slice(0, Math.min(size, 1)).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
