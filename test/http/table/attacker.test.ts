/**
 * An attacker tries every route of the table on another owner's things, with all that he has got hold of: thousands of combinations.
 * Nothing is served; what he is told is, to the byte, what he would be told of things that do not exist; and nothing of hers changes.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askToProve, claimOf, codesOf, sendProof } from '../../harness/possession.ts';
import { type Answer, send } from '../../harness/tus.ts';
import { ONE_NODE, type ReachedGround, THREE_NODES } from '../../nodes/in-turn.ts';
import { bearer } from '../support.ts';
import { type Ask, ask, sendAsk } from './ask.ts';
import {
  areEqual,
  AS_IT_IS,
  type Attack,
  attacksOn,
  beyond,
  comparable,
  IN_ITS_PLACE,
  leaksOf,
  mixed,
  nobodysCursor,
  OTHER_WAYS,
  type Stolen,
} from './attacks.ts';
import {
  cookiesOf,
  type Field,
  type Headers,
  makeLink,
  makeVictim,
  nobodysLoot,
  PASSWORD,
  type Victim,
} from './loot.ts';
import type { Route } from './route.ts';
import { ROUTES, titleOf } from './routes.ts';
import { freshBytes, makeThing, type Thing } from './things.ts';

const ANNA = bearer('annas-secret-1');
const BERT = bearer('berts-secret-2');
/** One for each route: owners who have equal bytes by equal names. */
const TWINS = ROUTES.map((_, index) => `twins-secret-${index}`);
const ENV = {
  AUTH_TOKENS: [
    'anna:annas-secret-1',
    'bert:berts-secret-2',
    ...TWINS.map((secret, at) => `twin${at}:${secret}`),
  ].join(),
  DIGESTS: 'md5,sha1',
  TRASH_TTL: '7d',
};

interface Ground extends ReachedGround {
  env: NodeJS.ProcessEnv;
  /** By every attacker, in all ways; or by one with an account and one without. */
  isWhole: boolean;
  /** Of what is out of place, each so-and-so-many-th is tried. */
  every: number;
}

const GROUNDS: readonly Ground[] = [
  { ...ONE_NODE, env: ENV, isWhole: true, every: 2 },
  {
    ...ONE_NODE,
    title: `${ONE_NODE.title}, with PUBLIC_READ and INSTANT=all`,
    env: { ...ENV, PUBLIC_READ: 'true', INSTANT: 'all' },
    isWhole: false,
    every: 6,
  },
  { ...THREE_NODES, env: { ...ENV, INSTANT: 'all' }, isWhole: false, every: 20 },
];

/** With PUBLIC_READ an id and a digest are the right to read a file's bytes. */
function isPublic({ bytesOfFile, ofAsker }: Route, field: Field): boolean {
  return bytesOfFile === true && ofAsker !== true && ['fileId', 'md5', 'sha1', 'sha256'].includes(field);
}

/** Requests that are sent at once. */
const AT_ONCE = 8;

describe.each(GROUNDS.filter(({ isHere }) => isHere))('$title', ({ title, env, isWhole, every, open }) => {
  let url: string;
  let stop: () => Promise<void>;
  let victim: Victim;
  let nobody: ReturnType<typeof nobodysLoot>;
  let stolen: Stolen;
  let before: Map<string, unknown>;
  /** Cookies by which he downloads what is his, or was given to him. */
  let cookies: { own: string; ticket: string; links: string };
  const counted = { combinations: 0, served: 0, unequal: 0, leaks: 0 };
  const isPublicRead = env['PUBLIC_READ'] === 'true';
  const isOpen = isPublicRead ? isPublic : () => false;

  beforeAll(async () => {
    ({ url, stop } = await open(env));
    victim = await makeVictim(url, ANNA);
    nobody = nobodysLoot(victim.loot);
    const own = await makeThing(url, BERT);
    const secrets = Object.entries(own).filter(([field]) => field.endsWith('Secret'));
    stolen = { loot: victim.loot, nobody, own: Object.fromEntries(secrets) };
    const locked = await makeLink(url, BERT, { files: [own.fileId], password: PASSWORD });
    const unlocked = await send('POST', locked.url, {
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ password: PASSWORD }).toString(),
    });
    const [ticket = ''] = cookiesOf(await send('POST', `${url}/api/ticket`, { headers: BERT }));
    const links = [...victim.tickets, ...cookiesOf(unlocked)];
    if (ticket === '' || links.length !== 3) throw new Error(`tickets: ${ticket}, ${links.join()}`);
    cookies = { own: ticket, ticket: forged(ticket), links: links.join('; ') };
    before = await stateOf(url, victim);
  });
  afterAll(async () => {
    await stop();
    const { combinations, served, unequal, leaks } = counted;
    console.info(
      `attacker, ${title}: ${combinations} combinations, ${served} served, ${unequal} unequal, ${leaks} that tell something`,
    );
  });

  /** Sends both requests of each attack. Those that make something of the attacker's own, one after the other. */
  async function attack(attacks: readonly Attack[], who: Headers): Promise<void> {
    const problems: string[] = [];
    const queue = attacks.filter(({ theirs }) => isSafe(theirs));
    const some = async (): Promise<void> => {
      for (let next = queue.shift(); next; next = queue.shift()) problems.push(...(await tryOut(next, who)));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, some));
    for (const next of attacks.filter(({ theirs }) => !isSafe(theirs))) problems.push(...(await tryOut(next, who)));
    expect(problems.slice(0, 20), `${problems.length} of ${attacks.length}`).toEqual([]);
  }

  async function tryOut(
    { title: what, route, theirs, nobodys, about, isShut }: Attack,
    who: Headers,
  ): Promise<string[]> {
    const [one, other] = [theirs, nobodys].map((request) => withHeaders(request, who));
    if (!one || !other) return [];
    const [told, ofNobody] = await Promise.all([ask(url, one), sendAsk(url, other)]);
    counted.combinations += 1;
    const problems: string[] = [];
    const note = (kind: 'served' | 'unequal' | 'leaks', words: string): void => {
      counted[kind] += 1;
      problems.push(`${what}: ${kind}: ${told.status} ${words}`);
    };
    if (told.status < 400 && (route.names === true || route.bySecret === true)) note('served', told.body.slice(0, 200));
    const leaks = leaksOf(told, one, victim.loot);
    if (leaks.length > 0) note('leaks', leaks.join());
    if (!isShut && !areEqual(told, ofNobody, about)) {
      const words = [comparable(told, about[0]), comparable(ofNobody, about[1])].map((whole) => JSON.stringify(whole));
      note('unequal', words.map((whole) => `\n  ${whole.slice(0, 600)}`).join(''));
    }
    return problems;
  }

  function all(ways: readonly (typeof OTHER_WAYS)[number][], which: (route: Route) => boolean = () => true): Attack[] {
    const attacks = ROUTES.filter(which).flatMap((route) => attacksOn(route, stolen, ways, isOpen));
    return attacks.filter(({ isInPlace }, index) => isInPlace || index % every === 0);
  }

  test('with an account, and everything in the place of everything', () => attack(all([AS_IT_IS]), BERT));

  test('without an account', () => attack(all([isPublicRead ? AS_IT_IS : IN_ITS_PLACE]), {}));

  test('with an account, in every other way of asking', () => attack(all(OTHER_WAYS), BERT));

  // A test that a ground is not for is none of its tests: one that is skipped says that the machine lacks something.
  test.each(isWhole ? ['with the tickets of other downloads'] : [])('%s', async () => {
    await attack(all([IN_ITS_PLACE]), { ...BERT, Cookie: cookies.links });
    await attack(all([AS_IT_IS, ...OTHER_WAYS], isRead), { Cookie: cookies.links });
  });

  const otherThings: [string, () => Headers][] = [
    ['a ticket of his own', () => ({ Cookie: cookies.own })],
    ['a ticket of his own, in which her name stands for his', () => ({ Cookie: cookies.ticket })],
    ['the secret of a link as a token', () => bearer(victim.loot.linkSecret)],
    ['the id of her file as a token', () => bearer(victim.loot.fileId)],
  ];
  test.each(isWhole ? otherThings : [])('with %s', async (_, who) => {
    await attack(all([IN_ITS_PLACE]), who());
    await attack(all(OTHER_WAYS, isRead), who());
  });

  test('by a link, beyond what it leads to', async () => {
    const served: string[] = [];
    const paths = ROUTES.filter(({ method, bySecret }) => method === 'GET' && bySecret === true).flatMap((route) =>
      (['linkSecret', 'folderSecret', 'spentSecret', 'lockedSecret'] as const).flatMap((field) => {
        const { loot } = stolen;
        const { path } = route.ask({ ...loot, linkSecret: loot[field], folderSecret: loot[field] });
        return beyond(path, loot);
      }),
    );
    for (const path of new Set(paths)) {
      for (const headers of [{}, { Range: 'bytes=1-', Cookie: cookies.links }] as Headers[]) {
        counted.combinations += 1;
        const answer = await ask(url, { method: 'GET', path, headers, isRaw: true });
        const isRest = path.includes(victim.loot.spentSecret) && path.endsWith('/files/2') && headers['Range'];
        // Of the download for which he has the ticket.
        if (isRest) expect(answer.status).toBe(206);
        else if (answer.status < 400 && !isShown(path, victim.loot))
          served.push(`${path} ${answer.status} ${answer.body.slice(0, 200)}`);
      }
    }
    counted.served += served.length;
    expect(served).toEqual([]);
  });

  test('with places in her lists and events', async () => {
    const lists = ROUTES.filter(
      (route) =>
        route.method !== 'POST' && route.takes.includes('query') && route.bySecret !== true && !isOpen(route, 'fileId'),
    );
    const attacks = lists.flatMap((route) =>
      [...victim.cursors, victim.eventId].map((cursor): Attack => {
        const [theirs, nobodys] = [victim.loot, nobody].map((about) => {
          const { path, ...rest } = route.ask({ ...about, bytes: freshBytes() });
          const at = about === nobody ? nobodysCursor(cursor, victim.loot, nobody) : cursor;
          return { method: route.method, ...rest, path: `${path}${path.includes('?') ? '&' : '?'}cursor=${at}` };
        }) as [Ask, Ask];
        return {
          title: `${titleOf(route)} from ${cursor}`,
          route,
          theirs,
          nobodys,
          about: [victim.loot, nobody],
          isInPlace: true,
          isShut: false,
        };
      }),
    );
    const hearing = (id: string): Ask => {
      return { method: 'GET', path: '/api/events', headers: { 'Last-Event-ID': id }, endless: true };
    };
    const route = ROUTES.find(({ path }) => path === '/api/events');
    if (!route) throw new Error('no route of events');
    attacks.push({
      title: 'events after hers',
      route,
      theirs: hearing(victim.eventId),
      nobodys: hearing('x'.repeat(22)),
      about: [victim.loot, nobody],
      isInPlace: true,
      isShut: false,
    });
    // Every list has his own things, and nothing of hers.
    await attack(attacks, BERT);
  });

  test('with hers among his own, where a request names several', async () => {
    const routes = ROUTES.filter((route) => mixed(route, victim.loot, nobody) !== undefined);
    expect(routes.length).toBeGreaterThan(3);
    const attacks: Attack[] = [];
    for (const route of routes) {
      for (const isFirst of [true, false]) {
        const [theirs, nobodys] = (await Promise.all(
          [victim.loot, nobody].map(async (about) => {
            const own = { ...nobody, ...(await makeThing(url, BERT)) };
            return mixed(route, ...((isFirst ? [about, own] : [own, about]) as [typeof own, typeof own]));
          }),
        )) as [Ask, Ask];
        if (isOpen(route, 'fileId')) continue;
        attacks.push({
          title: `${titleOf(route)} with his own`,
          route,
          theirs,
          nobodys,
          about: [victim.loot, nobody],
          isInPlace: true,
          isShut: false,
        });
      }
    }
    // What he has himself may be named in the answers, by other names in each.
    const problems: string[] = [];
    for (const { title: what, route, theirs, nobodys } of attacks) {
      counted.combinations += 1;
      const [told, ofNobody] = (await Promise.all(
        [theirs, nobodys].map((one) => ask(url, withHeaders(one, BERT))),
      )) as [Answer, Answer];
      const leaks = leaksOf(told, theirs, victim.loot);
      if (leaks.length > 0 || told.status !== ofNobody.status || told.code !== ofNobody.code)
        problems.push(`${what}: ${told.status} ${told.code} ${ofNobody.status} ${ofNobody.code} ${leaks.join()}`);
      if (route.names === true && told.status < 400 && told.body.includes(victim.loot.fileId))
        problems.push(`${what}: served`);
    }
    expect(problems).toEqual([]);
  });

  const ofProof = 'with all digests, but not the bytes, to be proved';
  test.each(env['INSTANT'] === 'all' ? [ofProof] : [])('%s', async () => {
    const claims = [victim.loot, nobody].map(({ md5, sha256, bytes }) => ({ md5, sha256, size: bytes.length }));
    const tried = await Promise.all(
      claims.flatMap((claim) =>
        [Buffer.alloc(claim.size), freshBytes()].map(async (having) => {
          counted.combinations += 1;
          const answer = await askToProve(url, claim, BERT);
          if (answer.status === 'exists' || !answer.challenge) return `${answer.status}, and no challenge`;
          const { token, ranges } = answer.challenge;
          const proof = { ...claim, filename: 'mine.bin', token, codes: codesOf({ token, ranges }, having) };
          const refused = await sendProof(url, proof, BERT);
          return JSON.stringify([
            answer.status,
            token.length,
            ranges.map(([start, end]) => end - start),
            refused.status,
            refused.body,
          ]);
        }),
      ),
    );
    expect(new Set(tried).size).toBe(1);
    expect(tried[0]).toContain('notfound');
    expect(claimOf(victim.loot.bytes)).toEqual(claims[0]);
  });

  const ofTwins = 'with equal bytes by equal names of his own: he has his, and hers stay';
  test.each(isWhole ? [ofTwins] : [])('%s', async () => {
    const problems: string[] = [];
    // Only a build has the page, which is nobody's.
    const queue = ROUTES.map((route, index) => [route, bearer(TWINS[index] ?? '')] as const).filter(
      ([{ group }]) => group !== 'page',
    );
    const some = async (): Promise<void> => {
      for (let next = queue.shift(); next; next = queue.shift()) {
        const [route, who] = next;
        const twin: Thing = await makeThing(url, who, victim.loot);
        counted.combinations += 1;
        const answer = await ask(url, withHeaders({ method: route.method, ...route.ask(twin) }, who));
        if (answer.status !== route.status) problems.push(`${titleOf(route)}: ${answer.status} ${answer.body}`);
      }
    };
    await Promise.all(Array.from({ length: 4 }, some));
    expect(problems).toEqual([]);
  });

  test('and after all of that she has what she had, to the byte, and nothing has happened to it', async () => {
    expect(counted.combinations).toBeGreaterThan(isWhole ? 4_000 : 1_000);
    expect(Object.fromEntries(await stateOf(url, victim))).toEqual(Object.fromEntries(before));
  });
});

/** Whether tickets could open it. */
function isRead({ bytesOfFile, bySecret }: Route): boolean {
  return bytesOfFile === true || bySecret === true;
}

function isSafe({ method }: Ask): boolean {
  return method === 'GET' || method === 'HEAD';
}

function withHeaders(request: Ask, who: Headers): Ask {
  return { ...request, headers: { ...request.headers, ...who } };
}

/** What a link to a folder shows by itself, in another spelling of its address. */
function isShown(path: string, { folderSecret, linkSecret }: Thing): boolean {
  return path === `/s/${folderSecret}/folders/1/` || path === `/s/${linkSecret}/files/1`;
}

/** A ticket of his in which the owner is she: the signature is of his token. */
function forged(ticket: string): string {
  const [name = '', value = ''] = ticket.split('=', 2);
  const [expires, , mac] = value.split('.');
  return `${name}=${expires}.${Buffer.from('anna').toString('base64url')}.${mac}`;
}

/** All that the victim can see of her things, by every route that changes nothing. */
async function stateOf(base: string, { loot }: Victim): Promise<Map<string, unknown>> {
  const routes = ROUTES.filter(
    ({ method, path, bySecret, askers }) =>
      (method === 'GET' || method === 'HEAD') && bySecret !== true && askers === 'owner' && path !== '/check',
  );
  const state = new Map<string, unknown>();
  const look = async (name: string, request: Ask): Promise<void> => {
    const { status, headers, body } = await ask(base, withHeaders(request, ANNA));
    const { date: _date, 'x-request-id': _id, ...kept } = headers;
    // Times that have passed or are left.
    const text = JSON.stringify({ status, kept, body }).replaceAll(
      /((?:idle\\?"?|max-age|expires)[:=]\\?"?)\d+/g,
      '$1<s>',
    );
    state.set(name, text);
  };
  for (const route of routes) await look(titleOf(route), { method: route.method, ...route.ask(loot) });
  for (const list of ['files', 'trash', 'links']) {
    await look(`all ${list}`, { method: 'GET', path: `/api/${list}?limit=1000` });
  }
  return state;
}
