/** Judges answers to an attacker: what they tell of the victim, and whether two of them say the same. Most are alike, and are looked at once. */
import type { Answer } from '../../harness/tus.ts';
import { type Ask, bare, textOf, wholeOf } from './ask.ts';
import { type Field, FIELDS, type Loot, type Victim } from './loot.ts';

export interface Judge {
  /** What of the victim's stands in an answer, but not in its request. */
  leaksOf(answer: Answer, asked: Ask): string[];
}

export function createJudge({ loot, figures }: Victim): Judge {
  const known: [string, string][] = [
    ...FIELDS.map((field): [string, string] => [field, loot[field]]),
    // Also of a range.
    ['bytes', loot.bytes.toString().slice(8, -8)],
  ];
  const numbers = new RegExp(`\\b(?:${figures.join('|')})\\b`);
  const harmless = new Set<string>();

  return {
    leaksOf(answer, asked) {
      const text = textOf(answer);
      if (harmless.has(text)) return [];
      const told = known.filter(([, value]) => text.includes(value));
      if (told.length === 0 && !numbers.test(text)) {
        harmless.add(text);
        return [];
      }
      const given = JSON.stringify([asked.path, asked.headers, String(asked.body ?? '')]);
      return [
        ...told.filter(([, value]) => !isGiven(value, given)).map(([field]) => field),
        ...(numbers.test(text) ? ['figures'] : []),
      ];
    },
  };
}

function isGiven(text: string, given: string): boolean {
  const forms = (['utf8', 'hex'] as const).map((form) => Buffer.from(text, form).toString('base64').replace(/=+$/, ''));
  return [text, ...forms].some((spelt) => spelt !== '' && given.includes(spelt));
}

/** Whether two answers say the same, but for what each repeats of its request, and what differs between any two things. */
export function areEqual(one: Answer, other: Answer, about: readonly [Loot, Loot]): boolean {
  if (textOf(one) === textOf(other)) return true;
  return JSON.stringify(comparable(one, about[0])) === comparedText(other, about[1]);
}

const compared = new WeakMap<Answer, string>();

/** Of one that is compared with many. */
function comparedText(answer: Answer, about: Loot): string {
  const known = compared.get(answer);
  if (known !== undefined) return known;
  const text = JSON.stringify(comparable(answer, about));
  compared.set(answer, text);
  return text;
}

/** A whole answer, without what it repeats of the request. */
export function comparable(answer: Answer, about: Loot): unknown {
  const { headers, body, ...rest } = bare(answer);
  let text = JSON.stringify({ headers, body });
  for (const value of longestFirst(about)) text = text.replaceAll(value, '<stolen>');
  return wholeOf({ ...rest, ...(JSON.parse(text) as Pick<Answer, 'headers' | 'body'>) }, '<stolen>');
}

function longestFirst(about: Loot): string[] {
  return FIELDS.map((field: Field) => about[field]).toSorted((a, b) => b.length - a.length);
}
