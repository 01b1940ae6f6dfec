/** A line on how much room there is, where the service limits it; see GET /api/quota. */
import type { LimitJson, QuotaJson } from '../../../server/wire/quota.ts';
import { tellsNoQuota } from '../../core/quota-room.ts';
import { onAccepted } from './access.ts';
import { ApiError, readQuota } from './api.ts';
import { byId, setText } from './dom.ts';
import { formatCount, formatSize } from './format.ts';
import { onLanguage, texts } from './i18n.ts';
import { announce } from './notices.ts';

/** Many files may come or go at once, and one request serves for all. */
const RENEW_MS = 1_000;
/** From this share on, the line is a warning. */
const NEAR = 0.9;

export interface QuotaLine {
  /** Asks the service again, soon, where it limits anything: what there is has changed. */
  renew(): void;
  /** Asks the service again, soon: it may be another one by now. */
  askAgain(): void;
}

/** Shows the line, and keeps it up to date. */
export function startQuotaLine(): QuotaLine {
  let quota: QuotaJson | null = null;
  /** Until the service has told that there is no limit. */
  let mayHaveLimits = true;
  let timer: number | undefined;
  let level = 0;

  async function ask(): Promise<void> {
    timer = undefined;
    try {
      quota = await readQuota();
      mayHaveLimits = limitsOf(quota).length > 0;
    } catch (error) {
      // After another failure, the next change brings it.
      if (error instanceof ApiError && tellsNoQuota(error)) mayHaveLimits = false;
      if (!mayHaveLimits) quota = null;
    }
    show(quota);
    tell();
  }

  /** Has what has become scarce read out; what changes with every file is not. */
  function tell(): void {
    const before = level;
    level = quota ? levelOf(quota) : 0;
    if (level > before) announce(level === 2 ? texts().quotaFull : texts().quotaNear);
  }

  const askAgain = (): void => void (timer ??= window.setTimeout(() => void ask(), RENEW_MS));
  const renew = (): void => {
    if (mayHaveLimits) askAgain();
  };
  void ask();
  onAccepted(() => void ask());
  onLanguage(() => show(quota));
  // What is deleted for good there is no event.
  byId('trash').addEventListener('close', renew);
  return { renew, askAgain };
}

function show(quota: QuotaJson | null): void {
  const line = byId('quota');
  const limits = quota ? limitsOf(quota) : [];
  line.hidden = limits.length === 0;
  if (line.hidden || !quota) return;
  byId<HTMLProgressElement>('quota-meter').value = Math.min(1, shareOf(quota));
  line.classList.toggle('near', levelOf(quota) > 0);
  const words = [...limits.map((limit) => limit.words), ...partsOf(quota)].join(' · ');
  setText(byId('quota-words'), levelOf(quota) === 2 ? `${words}. ${texts().quotaFull}` : words);
}

function shareOf(quota: QuotaJson): number {
  return Math.max(0, ...limitsOf(quota).map(({ share }) => share));
}

/** 1: near a limit; 2: at it. */
function levelOf(quota: QuotaJson): 0 | 1 | 2 {
  const share = shareOf(quota);
  if (share >= 1) return 2;
  return share >= NEAR ? 1 : 0;
}

/** What of the bytes are not files, where bytes are limited. */
function partsOf({ bytes, of: { trash, uploads } }: QuotaJson): string[] {
  if (bytes.limit === null) return [];
  const t = texts();
  return [
    ...(trash.bytes > 0 ? [t.quotaTrash(formatSize(trash.bytes))] : []),
    ...(uploads.bytes > 0 ? [t.quotaUploads(formatSize(uploads.bytes))] : []),
  ];
}

function limitsOf(quota: QuotaJson): { share: number; words: string }[] {
  return [...limitOf('bytes', quota), ...limitOf('files', quota)];
}

function limitOf(name: 'bytes' | 'files', quota: QuotaJson): { share: number; words: string }[] {
  const { used, limit }: LimitJson = quota[name];
  if (limit === null) return [];
  const t = texts();
  const words =
    name === 'bytes'
      ? t.quotaBytes(formatSize(used), formatSize(limit))
      : t.quotaFiles(formatCount(used), formatCount(limit));
  return [{ share: limit === 0 ? 1 : used / limit, words }];
}
