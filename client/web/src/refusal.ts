/** A refusal in the page's language. The service's own words are English, and for programs. */
import { texts } from './i18n.ts';

/** What is known of a refusal: the code of docs/http-api.md, or the status of something in front of the service. */
export interface Refusal {
  code: string;
  status: number;
}

function isKnown(code: string): code is keyof ReturnType<typeof texts>['refusals'] {
  return Object.hasOwn(texts().refusals, code);
}

/** The sentence for a refusal. */
export function sentenceOf({ code, status }: Refusal): string {
  const t = texts();
  if (isKnown(code)) return t.refusals[code];
  if (code === 'offline') return t.noAnswer;
  if (status === 413) return t.refusals.too_large;
  return status > 0 ? t.oddAnswer(status) : t.failed;
}

/** As above, for whatever was caught. */
export function sentenceOfError(error: unknown): string {
  const { code, status } = error as Partial<Refusal>;
  return sentenceOf({ code: code ?? '', status: status ?? 0 });
}
