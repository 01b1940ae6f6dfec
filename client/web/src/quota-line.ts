/** A line on how much room there is, where the service limits it; see GET /api/quota. */
import type { LimitJson, QuotaJson } from '../../../server/wire/quota.ts';
import { onAccepted } from './access.ts';
import { jsonOf, request } from './api.ts';
import { byId, setText } from './dom.ts';
import { formatCount, formatSize } from './format.ts';
import { onLanguage, texts } from './i18n.ts';

/** Many files may come or go at once, and one request serves for all. */
const RENEW_MS = 1_000;
/** From this share on, the line is a warning. */
const NEAR = 0.9;

export interface QuotaLine {
  /** Asks the service again, soon: what there is has changed. */
  renew(): void;
}

/** Shows the line, and keeps it up to date. */
export function startQuotaLine(): QuotaLine {
  let quota: QuotaJson | null = null;
  let timer: number | undefined;

  async function ask(): Promise<void> {
    timer = undefined;
    // After a failure, the next change brings it. A service of an older version has no quotas.
    quota = await request('api/quota')
      .then((answer) => jsonOf<QuotaJson>(answer))
      .catch(() => quota);
    show(quota);
  }

  const renew = (): void => void (timer ??= window.setTimeout(() => void ask(), RENEW_MS));
  void ask();
  onAccepted(() => void ask());
  onLanguage(() => show(quota));
  // What is deleted for good there is no event.
  byId('trash').addEventListener('close', renew);
  return { renew };
}

function show(quota: QuotaJson | null): void {
  const line = byId('quota');
  const limits = quota && [...limitOf('bytes', quota), ...limitOf('files', quota)];
  line.hidden = limits === null || limits.length === 0;
  if (line.hidden || !quota || !limits) return;
  const share = Math.max(...limits.map(({ share: each }) => each));
  byId<HTMLProgressElement>('quota-meter').value = Math.min(1, share);
  line.classList.toggle('near', share >= NEAR);
  const t = texts();
  const trash = quota.of.trash.bytes > 0 ? t.quotaTrash(formatSize(quota.of.trash.bytes)) : '';
  const words = [...limits.map((limit) => limit.words), ...(trash === '' ? [] : [trash])].join(' · ');
  setText(byId('quota-words'), share >= 1 ? `${words}. ${t.quotaFull}` : words);
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
