/** Judges answers to an attacker: what they tell of the victim, and whether two of them say the same. Most are alike, and are looked at once. */
import type { Answer } from '../../harness/tus.ts';
import { type Ask, expectWellFormed, wholeOf } from './ask.ts';
import { type Field, FIELDS, type Loot, type Victim } from './loot.ts';

export interface Judge {
  /** What every answer must have. @throws AssertionError. */
  expectWellFormed(answer: Answer, asked: Ask): void;
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
  const [wellFormed, harmless] = [new Set<string>(), new Set<string>()];

  return {
    expectWellFormed(answer, asked) {
      const [pathname = ''] = asked.path.split('?');
      // By the path and the method there is more to have; the id of the request is another one in each.
      const [, place = ''] = /^\/(uploads|check|upload|file)\b/.exec(pathname) ?? [];
      const hasId = answer.headers['x-request-id'] !== undefined;
      const seen = [asked.method, place, hasId, asked.headers?.['Accept'], textOf(answer)].join(' ');
      if (wellFormed.has(seen)) return;
      expectWellFormed(answer, asked);
      wellFormed.add(seen);
    },

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
  return JSON.stringify(comparable(one, about[0])) === JSON.stringify(comparable(other, about[1]));
}

const texts = new WeakMap<Answer, string>();

/** A whole answer but for what is of one request, or of one connection, alone. */
function textOf(answer: Answer): string {
  const known = texts.get(answer);
  if (known !== undefined) return known;
  const { status, headers, body } = bare(answer);
  const text = `${status} ${JSON.stringify(headers)} ${body}`;
  texts.set(answer, text);
  return text;
}

/** Without what is of one connection alone: a balancer may send the body after the answer. */
function bare({ headers, ...answer }: Answer): Answer {
  const { date: _date, 'x-request-id': _id, connection: _connection, 'keep-alive': _alive, ...kept } = headers;
  return { ...answer, headers: kept };
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
