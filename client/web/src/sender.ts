/** One file's way once its digests are known: ask, send, verify. What stands in the way is handed back to the queue. */
import type { FileJson } from '../../../server/wire/files.ts';
import { ApiError, check, getFile, uploadState } from './api.ts';
import { ownUrl } from './base.ts';
import { compare, contentOf } from './compare.ts';
import { giveName } from './give-name.ts';
import { type FailReason, type Item, meaningOf, type StallReason } from './item.ts';
import type { Step } from '../../core/upload-states.ts';
import { startTransfer } from './transfer.ts';

/** What the sender tells the queue. */
export interface SenderEvents {
  change: (item: Item, changes: Partial<Item>) => void;
  /** As `change`, to the state that follows. */
  step: (item: Item, name: Step, changes?: Partial<Item>) => boolean;
  /** Where it stands is worth writing down, at once. */
  note(item: Item): void;
  /** Bytes went over the line. */
  moved(item: Item, bytes: number): void;
  finish(item: Item, result: FileJson, state: 'done' | 'instant'): void;
  fail(item: Item, failure: FailReason, message?: string): void;
  /** @param waitMs - null: as long as for whatever has stood in its way so often. */
  stall(item: Item, reason: StallReason, waitMs: number | null): void;
  /** What an earlier life of the page has begun at this address, and nobody goes on with. */
  findLeft(url: string): Item | undefined;
  /** Another item goes on with its upload: it is taken off the list. */
  letGo(item: Item): void;
}

const ELSEWHERE_MS = 3_000;
/** Room is not made in a moment, and each attempt sends bytes for nothing. */
const FULL_MS = 5_000;
/** Bytes that moved for so long have gone through: the next obstacle is a new one. */
const STEADY_MS = 5_000;

/** @returns a function that sends an item, or goes on with it where it was paused. */
export function createSender(queue: SenderEvents): (item: Item) => Promise<void> {
  const { change } = queue;

  async function send(item: Item): Promise<void> {
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
      // Published, and perhaps not by this name yet: asked by name, the service would add a second file.
      if (item.url !== null && item.adopted !== null) {
        const state = await uploadState(item.url);
        if (item.turn !== turn) return;
        if (state !== null && state.fileId !== null) {
          await verify(item, state.fileId, turn);
          return;
        }
      }
      const known = await check(contentOf(item), item.name);
      if (item.turn !== turn) return;
      if (known.status === 'exists') {
        if (known.file) queue.finish(item, known.file, item.sent === 0 ? 'instant' : 'done');
        else queue.fail(item, 'failed');
        return;
      }
      const resume = known.resume ? ownUrl(known.resume.url) : null;
      const isLeft = resume !== null && queue.findLeft(resume) !== undefined;
      if (known.status === 'uploading' && !isLeft && (item.url === null || item.url !== resume)) {
        queue.stall(item, 'elsewhere', ELSEWHERE_MS);
        return;
      }
      if (item.url === null && resume !== null) await adopt(item, resume);
      if (item.turn === turn) transfer(item, file, turn);
    } catch (error) {
      if (item.turn === turn) await meet(item, error);
    }
  }

  /** Goes on with an unfinished upload, where it was begun for the very same bytes. */
  async function adopt(item: Item, url: string): Promise<void> {
    const { turn, md5, sha256 } = item;
    const state = await uploadState(url);
    if (item.turn !== turn || state === null || state.sha256 !== sha256) return;
    const left = queue.findLeft(url);
    const isOurs = left !== undefined && (left.adopted === null || left.adopted.isOurs);
    const adopted = { name: state.name, isOurs };
    Object.assign(item, { url, urlMd5: md5, urlSha256: sha256, adopted });
    // First it is written down who goes on with it, then the other is forgotten.
    queue.note(item);
    if (left) queue.letGo(left);
  }

  function transfer(item: Item, file: File, turn: number): void {
    const { md5, sha256 } = item;
    if (md5 === null || sha256 === null) return;
    const begunAt = Date.now();
    let before: number | null = null;
    const isCurrent = (): boolean => item.turn === turn;
    queue.step(item, 'send');
    item.transfer = startTransfer(
      file,
      { name: item.name, path: item.path, md5, sha256, url: item.url },
      {
        onUrl: (url) => {
          Object.assign(item, { url, urlMd5: md5, urlSha256: sha256, adopted: null });
          queue.note(item);
        },
        onRestart: () => {
          change(item, { url: null, adopted: null, sent: 0, fromStart: true });
          before = null;
        },
        onProgress: (sent) => {
          if (!isCurrent()) return;
          if (Date.now() - begunAt > STEADY_MS) item.attempts = 0;
          change(item, { sent, stall: null });
          queue.moved(item, Math.max(0, sent - (before ?? sent)));
          before = sent;
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
  async function verify(item: Item, told: string | null, turn: number): Promise<void> {
    try {
      // The answer may have been another's: HEAD tells the file too.
      const fileId = told ?? (item.url === null ? null : ((await uploadState(item.url))?.fileId ?? null));
      const found = fileId === null ? await findPublished(item) : await getFile(fileId);
      const verdict = found && (await compare(item, found));
      if (item.turn !== turn) return;
      if (verdict === null) queue.fail(item, 'failed');
      else if (verdict === 'differs') queue.fail(item, 'mismatch');
      else if (verdict === 'adoptedDiffers') {
        // What somebody else sent is not what they said: next time it is sent from its first byte.
        Object.assign(item, { url: null, adopted: null, sent: 0 });
        queue.fail(item, 'failed');
      } else await finish(item, verdict, turn);
    } catch (error) {
      if (item.turn === turn) await meet(item, error);
    }
  }

  async function findPublished(item: Item): Promise<FileJson | null> {
    const known = await check(contentOf(item), item.name);
    return (known.status === 'exists' && known.file) || null;
  }

  /** By its name; what somebody else began stays theirs where the service gives no second name. */
  async function finish(item: Item, file: FileJson, turn: number): Promise<void> {
    const named = await giveName(file, item.name, item.adopted);
    if (item.turn !== turn) return;
    if (named) {
      queue.finish(item, named, 'done');
      return;
    }
    Object.assign(item, { url: null, adopted: null, sent: 0 });
    if (item.file) transfer(item, item.file, turn);
  }

  /** Something stood in the way: of the line, the service, or the file. */
  async function meet(item: Item, error: unknown): Promise<void> {
    const { turn } = item;
    const known = error instanceof ApiError ? error : new ApiError('unknown', 0, String(error));
    if (known.code === 'offline' && !(await isReadable(item))) {
      if (item.turn === turn) queue.fail(item, 'fileChanged');
      return;
    }
    if (item.turn !== turn) return;
    item.refusal = { code: known.code, status: known.status };
    const meaning = meaningOf(known, item.url !== null);
    if (meaning.stall === 'beginAgain') change(item, { url: null, adopted: null, sent: 0, fromStart: true });
    if (meaning.stall) queue.stall(item, meaning.stall, meaning.stall === 'full' ? FULL_MS : null);
    else queue.fail(item, meaning.failure, known.message);
  }

  return send;
}

/**
 * Whether its file can still be read. One that has changed since it was chosen cannot, and the
 * browser's error for it is that of a lost line.
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
