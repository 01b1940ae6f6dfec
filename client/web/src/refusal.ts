/** Describes refusals in the page's language: the service's own messages are English, and meant for developers. */
import { NO_ANSWER, type Refusal } from '../../core/refusals.ts';
import { isByLink } from './by-link.ts';
import { texts } from './i18n.ts';

function isKnown(code: string): code is keyof ReturnType<typeof texts>['refusals'] {
  return Object.hasOwn(texts().refusals, code);
}

/** The sentence for a refusal. */
export function sentenceOf({ code, status }: Refusal): string {
  const t = texts();
  if (code === 'not_found' && isByLink()) return t.linkGone;
  // Only the owner can make room.
  if (code === 'over_quota' && isByLink()) return t.linkFull;
  if (isKnown(code)) return t.refusals[code];
  if (code === NO_ANSWER) return t.noAnswer;
  if (status === 413) return t.refusals.too_large;
  return status > 0 ? t.oddAnswer(status) : t.failed;
}

/** The sentence for any error that was caught. */
export function sentenceOfError(error: unknown): string {
  const { code, status } = error as Partial<Refusal>;
  return sentenceOf({ code: code ?? '', status: status ?? 0 });
}
