/** Sends what an attacker sends, judges what he is told, and counts it. */
import { openQuickClient } from '../../harness/quick-client.ts';
import type { Answer } from '../../harness/tus.ts';
import type { Reached } from '../../nodes/in-turn.ts';
import { type Ask, expectWellFormed, sendAsk } from './ask.ts';
import type { Attack } from './attacks.ts';
import { areEqual, comparable, createJudge, type Judge } from './judge.ts';
import type { Victim } from './loot.ts';
import type { Headers } from './stolen-links.ts';

/** Requests that are sent at once. */
const AT_ONCE = 16;
/** As what every node is addressed. */
const HOST = 'tidemark.test';

export interface Attacker {
  readonly counted: { combinations: number; served: number; unequal: number; leaks: number };
  readonly judge: Judge;
  /**
   * Tries each attack. Those that may make something of the attacker's own are sent one after the other.
   *
   * @returns what is wrong.
   */
  tryAll(attacks: readonly Attack[], who: Headers): Promise<string[]>;
  /** Sends one request, which counts as a combination, and looks at what every answer must have. */
  ask(request: Ask, who: Headers): Promise<Answer>;
  close(): Promise<void>;
}

export function createAttacker({ url, urls }: Reached, victim: Victim): Attacker {
  const client = openQuickClient(urls, HOST);
  const judge = createJudge(victim);
  const counted = { combinations: 0, served: 0, unequal: 0, leaks: 0 };

  function send(request: Ask): Promise<Answer> {
    return request.endless ? sendAsk(url, request) : client.send(request);
  }

  async function ask(request: Ask, who: Headers): Promise<Answer> {
    counted.combinations += 1;
    const asked = withHeaders(request, who);
    const answer = await send(asked);
    expectWellFormed(answer, asked);
    return answer;
  }

  async function tryOut(attack: Attack, who: Headers, ofNobody: OfNobody): Promise<string[]> {
    const { title, route, theirs, about, told } = attack;
    const [answer, nobodys] = await Promise.all([ask(theirs, who), told ? undefined : ofNobody(attack)]);
    const problems: string[] = [];
    const note = (kind: 'served' | 'unequal' | 'leaks', words: string): void => {
      counted[kind] += 1;
      problems.push(`${title}: ${kind}: ${answer.status} ${words}`);
    };
    if (answer.status < 400 && (route.names === true || route.bySecret)) note('served', answer.body.slice(0, 200));
    const leaks = judge.leaksOf(answer, withHeaders(theirs, who));
    if (leaks.length > 0) note('leaks', leaks.join());
    if (told && !isTold(answer, told)) note('unequal', `${answer.code}, not ${told.join(' or ')}`);
    if (nobodys && !areEqual(answer, nobodys.answer, [about[0], nobodys.about])) {
      const both = [comparable(answer, about[0]), comparable(nobodys.answer, nobodys.about)];
      note('unequal', both.map((whole) => `\n  ${JSON.stringify(whole).slice(0, 600)}`).join(''));
    }
    return problems;
  }

  return {
    counted,
    judge,
    ask,
    async tryAll(attacks, who) {
      const problems: string[] = [];
      const ofNobody = once(({ nobodys }) => send(withHeaders(nobodys, who)));
      const [safe, others] = [true, false].map((isWanted) =>
        attacks.filter(({ theirs }) => isSafe(theirs) === isWanted),
      );
      await inTurn(safe ?? [], AT_ONCE, async (next) => {
        problems.push(...(await tryOut(next, who, ofNobody)));
      });
      await inTurn(others ?? [], 1, async (next) => {
        problems.push(...(await tryOut(next, who, ofNobody)));
      });
      return problems;
    },
    close: () => client.close(),
  };
}

/** The answer to nobody's request of an attack, or to one like it. */
type OfNobody = (attack: Attack) => Promise<{ answer: Answer; about: Attack['about'][1] }>;

/** Sends nobody's requests that are alike once. */
function once(send: (attack: Attack) => Promise<Answer>): OfNobody {
  const sent = new Map<string, ReturnType<OfNobody>>();
  return (attack) => {
    const known = attack.like === undefined ? undefined : sent.get(attack.like);
    if (known) return known;
    const answered = send(attack).then((answer) => ({ answer, about: attack.about[1] }));
    if (attack.like !== undefined) sent.set(attack.like, answered);
    return answered;
  };
}

/** Does something with each item, with so many at a time. */
export async function inTurn<T>(
  items: readonly T[],
  atOnce: number,
  each: (item: T) => Promise<unknown>,
): Promise<void> {
  const queue = items.values();
  const some = async (): Promise<void> => {
    for (const item of queue) await each(item);
  };
  await Promise.all(Array.from({ length: atOnce }, some));
}

export function withHeaders(request: Ask, who: Headers): Ask {
  return { ...request, headers: { ...request.headers, ...who } };
}

function isSafe({ method }: Ask): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Answers to HEAD, and pages, have no code. */
function isTold({ status, code }: Answer, told: NonNullable<Attack['told']>): boolean {
  return told.some(([refused, why]) => status === refused && (code ?? why) === why);
}
