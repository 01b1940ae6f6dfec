/** One file's way once its MD5 is known: ask, send, verify. What stands in the way is handed back to the queue. */
import { ApiError, check, type FileJson, getFile } from './api.ts';
import { ownUrl } from './base.ts';
import { type FailReason, type Item, meaningOf, type StallReason } from './item.ts';
import { startTransfer } from './transfer.ts';

/** What the sender tells the queue. */
export interface SenderEvents {
  change: (item: Item, changes: Partial<Item>) => void;
  /** Where it stands is worth writing down, at once. */
  note(item: Item): void;
  /** Bytes went over the line. */
  moved(item: Item, bytes: number): void;
  finish(item: Item, result: FileJson, state: 'done' | 'instant'): void;
  fail(item: Item, failure: FailReason, message?: string): void;
  /** @param waitMs - null: as long as for whatever has stood in its way so often. */
  stall(item: Item, reason: StallReason, waitMs: number | null): void;
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
        if (known.file) queue.finish(item, known.file, item.sent === 0 ? 'instant' : 'done');
        else queue.fail(item, 'failed');
        return;
      }
      const resume = known.resume ? ownUrl(known.resume.url) : null;
      if (known.status === 'uploading' && (item.url === null || item.url !== resume)) {
        queue.stall(item, 'elsewhere', ELSEWHERE_MS);
        return;
      }
      if (item.url === null && resume !== null) Object.assign(item, { url: resume, urlMd5: md5 });
      transfer(item, file, md5, turn);
    } catch (error) {
      if (item.turn === turn) await meet(item, error);
    }
  }

  function transfer(item: Item, file: File, md5: string, turn: number): void {
    const begunAt = Date.now();
    let before: number | null = null;
    const isCurrent = (): boolean => item.turn === turn;
    change(item, { state: 'sending' });
    item.transfer = startTransfer(
      file,
      { name: item.name, path: item.path, md5, url: item.url },
      {
        onUrl: (url) => {
          Object.assign(item, { url, urlMd5: md5 });
          queue.note(item);
        },
        onRestart: () => {
          change(item, { url: null, sent: 0, fromStart: true });
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
  async function verify(item: Item, fileId: string | null, turn: number): Promise<void> {
    try {
      const { md5, size, name } = item;
      if (md5 === null) return;
      if (fileId === null) {
        const known = await check(md5, size, name);
        if (item.turn !== turn) return;
        if (known.status === 'exists' && known.file) queue.finish(item, known.file, 'done');
        else queue.fail(item, 'failed');
        return;
      }
      const file = await getFile(fileId);
      if (item.turn !== turn) return;
      if (file.md5 === md5 && file.size === size) queue.finish(item, file, 'done');
      else queue.fail(item, 'mismatch');
    } catch (error) {
      if (item.turn === turn) await meet(item, error);
    }
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
    const meaning = meaningOf(known, item.url !== null);
    if (meaning.stall === 'beginAgain') change(item, { url: null, sent: 0, fromStart: true });
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
