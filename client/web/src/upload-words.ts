/** The status of an upload, in words and as a fraction. */
import { formatPercent, formatSize } from './format.ts';
import { texts } from './i18n.ts';
import { type Item, uploadsOf } from './item.ts';
import { sentenceOf } from './refusal.ts';

/** @param limit - the largest file that the service accepts, in bytes; null: no limit, or not known yet. */
export function statusOf(item: Item, limit: number | null): string {
  const t = texts();
  const [sent, size] = [formatSize(item.sent), formatSize(item.size)];
  if (item.stall) return stallOf(item, sent, size);
  switch (item.state) {
    case 'queued':
    case 'ready':
    case 'stalled':
      return `${t.queued} · ${size}`;
    case 'hashing':
      return t.hashing(formatPercent(item.hashed, item.size));
    case 'checking':
      return t.checking;
    case 'asking':
      return t.asking;
    case 'sending':
      if (item.sent === item.size && item.size > 0) return t.finishing;
      return t.sending(sent, size, formatPercent(item.sent, item.size));
    case 'paused':
      return t.paused(sent, size);
    case 'instant':
      return `${t.instant} · ${size}`;
    case 'done':
      return `${item.fromStart ? t.fromStart : t.done} · ${size}`;
    case 'failed':
      return failureOf(item, limit);
    case 'interrupted':
      if (item.fromStart) return t.expired;
      return uploadsOf(item).length === 0 ? t.interruptedAtStart : t.interrupted(sent, size);
  }
}

function stallOf({ stall, refusal }: Item, sent: string, size: string): string {
  const t = texts();
  if (stall === null || stall === 'lostLine') return t.lostLine(sent, size);
  // The refusal of the service says more than the general words for this state.
  if ((stall === 'restarting' || stall === 'trouble') && refusal && refusal.code in t.refusals)
    return t.byItself(sentenceOf(refusal));
  return t[stall];
}

/** Why an upload has failed. */
export function failureOf({ failure, refusal }: Item, limit: number | null): string {
  const t = texts();
  switch (failure) {
    case 'tooLarge':
      return limit === null ? t.refusals.too_large : t.tooLarge(formatSize(limit));
    case 'requestTooLarge':
    case 'fileChanged':
    case 'mismatch':
      return t[failure];
    case 'refused':
    case 'failed':
    case null:
      return refusal ? sentenceOf(refusal) : t.failed;
  }
}

/** The words of `statusOf`; for a failed upload, also the code and message of the service, which its operator may need. */
export function detailsOf(item: Item, status: string): string {
  const { refusal } = item;
  if (item.state !== 'failed' || refusal === null || refusal.status === 0) return status;
  return `${status} (${refusal.code}: ${item.message || refusal.status})`;
}

/** From 0 to 1. */
export function progressOf(item: Item): number {
  if (item.result !== null) return 1;
  if (item.state === 'hashing') return item.hashed / (item.size || 1);
  return item.sent / (item.size || 1);
}
