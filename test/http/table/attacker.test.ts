/**
 * An attacker tries every route of the table on another owner's things, with all that he has got hold of: thousands of combinations.
 * Nothing is served; what he is told is, to the byte, what he would be told of things that do not exist; and nothing of hers changes.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHEAP_PASSWORDS } from '../../harness/cheap-passwords.ts';
import { askToProve, claimOf, codesOf, sendProof } from '../../harness/possession.ts';
import { send } from '../../harness/tus.ts';
import { ONE_NODE, type Reached, type ReachedGround, THREE_NODES } from '../../nodes/in-turn.ts';
import { bearer } from '../support.ts';
import { type Ask, ask } from './ask.ts';
import { type Attacker, createAttacker, inTurn, withHeaders } from './attacker.ts';
import {
  AS_IT_IS,
  type Attack,
  attacksOn,
  beyond,
  IN_ITS_PLACE,
  mixed,
  nobodysCursor,
  READING_WAYS,
  SENDING_WAYS,
  type Stolen,
  type Way,
} from './attacks.ts';
import { type Field, makeVictim, nobodysLoot, type Victim } from './loot.ts';
import type { Route } from './route.ts';
import { ROUTES, titleOf } from './routes.ts';
import { cookiesOf, type Headers, linkOf, makeLink, PASSWORD, SECRETS, unlock } from './stolen-links.ts';
import { freshBytes, makeNamed, makeThing, type Thing } from './things.ts';

const ANNA = bearer('annas-secret-1');
const BERT = bearer('berts-secret-2');
/** Owners who have equal bytes by equal names: one for all routes that leave these as they are, and one for each of the others. */
const [KEEPING, CHANGING] = [true, false].map((keeps) => ROUTES.filter((route) => keepsThing(route) === keeps));
const TWINS = [KEEPING ?? [], ...(CHANGING ?? []).map((route) => [route])];
const ENV = {
  ...CHEAP_PASSWORDS,
  AUTH_TOKENS: [
    'anna:annas-secret-1',
    'bert:berts-secret-2',
    ...TWINS.map((_, at) => `twin${at}:twins-secret-${at}`),
  ].join(),
  DIGESTS: 'md5,sha1',
  TRASH_TTL: '7d',
  // Nobody reaches them; hers are figures that stand nowhere else.
  QUOTA_BYTES: '1TiB',
  QUOTA_FILES: '1000000',
  QUOTAS: 'anna:bytes=271828182845:files=7654321',
  // Thousands of lines that nobody reads.
  LOG_LEVEL: 'warn',
};

interface Ground extends ReachedGround {
  env: NodeJS.ProcessEnv;
  /** By every attacker, in all ways; or by one with an account and one without. */
  isWhole: boolean;
  /** Of what is out of place, each so-and-so-many-th is tried. */
  every: number;
  /** Where the settings count: of other routes, some are tried. */
  isMeant?: (route: Route) => boolean;
}

/** Of combinations that the code cannot tell apart, one of so many is tried, another one for each route. */
const OF_ALIKE = 4;

/** Where PUBLIC_READ or INSTANT counts: bytes are read there, or looked for before they are sent. */
function isOpened({ bytesOfFile, path, names }: Route): boolean {
  return bytesOfFile === true || path === '/check' || names !== true;
}

const GROUNDS: readonly Ground[] = [
  { ...ONE_NODE, env: ENV, isWhole: true, every: 6 },
  {
    ...ONE_NODE,
    title: `${ONE_NODE.title}, with PUBLIC_READ and INSTANT=all`,
    env: { ...ENV, PUBLIC_READ: 'true', INSTANT: 'all' },
    isWhole: false,
    every: 24,
    isMeant: isOpened,
  },
  { ...THREE_NODES, env: { ...ENV, INSTANT: 'all' }, isWhole: false, every: 30 },
];

/** With PUBLIC_READ an id and a digest are the right to read a file's bytes. */
function isPublic({ bytesOfFile, ofAsker }: Route, field: Field): boolean {
  return bytesOfFile === true && ofAsker !== true && ['fileId', 'md5', 'sha1', 'sha256'].includes(field);
}

describe.each(GROUNDS.filter(({ isHere }) => isHere))(
  '$title',
  ({ title, env, isWhole, every, isMeant = () => true, open }) => {
    let reached: Reached;
    let url: string;
    let attacker: Attacker;
    let victim: Victim;
    let nobody: ReturnType<typeof nobodysLoot>;
    /** What is the attacker's own. */
    let his: Thing;
    let stolen: Stolen;
    let before: Map<string, unknown>;
    /** Cookies by which he downloads what is his, or was given to him. */
    let cookies: { own: string; ticket: string; links: string };
    const isPublicRead = env['PUBLIC_READ'] === 'true';
    const isOpen = isPublicRead ? isPublic : () => false;

    beforeAll(async () => {
      reached = await open(env);
      url = reached.url;
      victim = await makeVictim(reached, ANNA);
      attacker = createAttacker(reached, victim);
      nobody = nobodysLoot(victim.loot);
      his = await makeThing(url, BERT);
      const secrets = Object.entries(his).filter(([field]) => linkOf(field));
      stolen = { loot: victim.loot, nobody, own: Object.fromEntries(secrets) };
      const [ticket = ''] = cookiesOf(await send('POST', `${url}/api/ticket`, { headers: BERT }));
      const links = [...victim.tickets, ...(isWhole ? await unlockHis() : [])];
      if (ticket === '' || links.includes('')) throw new Error(`tickets: ${ticket}, ${links.join()}`);
      cookies = { own: ticket, ticket: forged(ticket), links: links.join('; ') };
      before = await stateOf(url, victim);
    });
    afterAll(async () => {
      await attacker?.close();
      await reached?.stop();
      const { combinations, served, unequal, leaks } = attacker.counted;
      console.info(
        `attacker, ${title}: ${combinations} combinations, ${served} served, ${unequal} unequal, ${leaks} that tell something`,
      );
    });

    /** @returns cookies for a locked link of his own. */
    async function unlockHis(): Promise<string[]> {
      const { url: locked } = await makeLink(url, BERT, { files: [his.fileId], password: PASSWORD });
      return unlock(locked);
    }

    async function attack(attacks: readonly Attack[], who: Headers): Promise<void> {
      const problems = await attacker.tryAll(attacks, who);
      expect(problems.slice(0, 20), `${problems.length} of ${attacks.length}`).toEqual([]);
    }

    const made = new Map<Way, Map<Route, Attack[]>>();

    /** The attacks on a route, which are made once. */
    function attacksBy(way: Way, route: Route): Attack[] {
      const known = made.get(way) ?? new Map<Route, Attack[]>();
      made.set(way, known);
      const attacks = known.get(route) ?? attacksOn(route, stolen, way, isOpen);
      // What makes something has a name of its own each time.
      if (attacks.every(({ like }) => like !== undefined)) known.set(route, attacks);
      return attacks;
    }

    function all(ways: readonly Way[], which: (route: Route) => boolean = () => true): Attack[] {
      const routes = ROUTES.filter((route, at) => which(route) && (isMeant(route) || at % OF_ALIKE === 0));
      const attacks = ways.flatMap((way) => routes.flatMap((route) => attacksBy(way, route)));
      // To check a password takes a fifth of a second, whoever asks.
      const isSlow = ({ told }: Attack): boolean => told?.some(([, code]) => code === 'wrong_password') === true;
      const isAlways = ({ tried }: Attack): boolean => tried === 'in all ways' || (isWhole && tried === 'always');
      return attacks
        .filter((each, index) => isAlways(each) || index % every === 0)
        .filter((each) => !isSlow(each) || (isWhole && ways.includes(AS_IT_IS)));
    }

    test('with an account, and everything in the place of everything', () => attack(all([AS_IT_IS]), BERT));

    test('without an account', async () => {
      await attack(all([IN_ITS_PLACE]), {});
      if (isPublicRead) await attack(all([AS_IT_IS], isOfBytes), {});
    });

    test('with an account, in every other way of asking', async () => {
      await attack(all(READING_WAYS, isOfBytes), BERT);
      if (!isWhole) return;
      // Elsewhere nothing but the answer is made in another way: each route is asked in one of them.
      for (const [turn, way] of READING_WAYS.entries())
        await attack(
          all([way], (route) => !isOfBytes(route) && ROUTES.indexOf(route) % READING_WAYS.length === turn),
          BERT,
        );
      await attack(all(SENDING_WAYS), BERT);
    });

    // A test that a ground is not for is none of its tests: one that is skipped says that the machine lacks something.
    test.each(isWhole ? ['with the tickets of other downloads'] : [])('%s', async () => {
      await attack(all([IN_ITS_PLACE], orSome(takesTickets, 0)), { ...BERT, Cookie: cookies.links });
      await attack(all([IN_ITS_PLACE, ...READING_WAYS], takesTickets), { Cookie: cookies.links });
    });

    const otherThings: [string, () => Headers][] = [
      ['a ticket of his own', () => ({ Cookie: cookies.own })],
      ['a ticket of his own, in which her name stands for his', () => ({ Cookie: cookies.ticket })],
      ['the secret of a link as a token', () => bearer(victim.loot.linkSecret)],
      ['the id of her file as a token', () => bearer(victim.loot.fileId)],
    ];
    test.each(isWhole ? otherThings.map((row, turn) => [...row, turn] as const) : [])(
      'with %s',
      async (_, who, turn) => {
        await attack(all([IN_ITS_PLACE], orSome(isOfBytes, turn)), who());
        await attack(all(READING_WAYS, isOfBytes), who());
      },
    );

    test('by a link, beyond what it leads to', async () => {
      const { loot } = victim;
      const served: string[] = [];
      const paths = ROUTES.filter(({ method, bySecret }) => method === 'GET' && bySecret).flatMap((route) =>
        (['linkSecret', 'folderSecret', 'spentSecret', 'lockedSecret'] as const).flatMap((field) => {
          const { path } = route.ask({ ...loot, linkSecret: loot[field], folderSecret: loot[field] });
          return beyond(path, loot);
        }),
      );
      // A link that is shut is looked at no further.
      const isLive = (path: string): boolean =>
        [loot.linkSecret, loot.folderSecret].some((live) => path.includes(live));
      const some = [...new Set(paths)].filter(
        (path, index) => (isWhole && isLive(path)) || index % (isWhole ? OF_ALIKE : every) === 0,
      );
      const asked = some.flatMap((path) =>
        [{}, { Range: 'bytes=1-', Cookie: cookies.links }].map((headers: Headers) => ({ path, headers })),
      );
      await inTurn(asked, 8, async ({ path, headers }) => {
        const answer = await attacker.ask({ method: 'GET', path, isRaw: true }, headers);
        const isRest = path.includes(loot.spentSecret) && path.endsWith('/files/2') && headers['Range'];
        // Of the download for which he has the ticket.
        if (isRest) expect(answer.status).toBe(206);
        else if (answer.status < 400 && !isShown(path, loot))
          served.push(`${path} ${answer.status} ${answer.body.slice(0, 200)}`);
      });
      attacker.counted.served += served.length;
      expect(served).toEqual([]);
    });

    test('with places in her lists and events', async () => {
      const lists = ROUTES.filter(
        (route) =>
          route.method !== 'POST' && route.takes.includes('query') && !route.bySecret && !isOpen(route, 'fileId'),
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
            tried: 'always',
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
        tried: 'always',
      });
      // Every list has his own things, and nothing of hers.
      await attack(attacks, BERT);
    });

    test('with hers among his own, where a request names several', async () => {
      const routes = ROUTES.filter((route) => mixed(route, victim.loot, nobody) !== undefined);
      expect(routes.length).toBeGreaterThan(3);
      const problems: string[] = [];
      for (const route of routes.filter((each) => !isOpen(each, 'fileId'))) {
        for (const isFirst of [true, false]) {
          const [told, ofNobody] = await Promise.all(
            [victim.loot, nobody].map(async (about) => {
              const own = {
                ...nobody,
                ...(keepsThing(route) ? his : await makeNamed(url, BERT, (named) => route.ask(named))),
              };
              const request = mixed(route, ...((isFirst ? [about, own] : [own, about]) as [typeof own, typeof own]));
              if (!request) throw new Error(titleOf(route));
              const answer = await attacker.ask(request, BERT);
              return { answer, leaks: attacker.judge.leaksOf(answer, request) };
            }),
          );
          if (!told || !ofNobody) continue;
          // What he has himself may be named in the answers, by other names in each.
          const [{ status, code, body }, other] = [told.answer, ofNobody.answer];
          if (told.leaks.length > 0 || status !== other.status || code !== other.code)
            problems.push(`${titleOf(route)}: ${status} ${code} ${other.status} ${other.code} ${told.leaks.join()}`);
          if (route.names === true && status < 400 && body.includes(victim.loot.fileId))
            problems.push(`${titleOf(route)}: served`);
        }
      }
      expect(problems).toEqual([]);
    });

    const ofProof = 'with all digests, but not the bytes, to be proved';
    test.each(env['INSTANT'] === 'all' ? [ofProof] : [])('%s', async () => {
      const claims = [victim.loot, nobody].map(({ md5, sha256, bytes }) => ({ md5, sha256, size: bytes.length }));
      const tried = await Promise.all(
        claims.flatMap((claim) =>
          [Buffer.alloc(claim.size), freshBytes()].map(async (having) => {
            attacker.counted.combinations += 1;
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
      await inTurn([...TWINS.entries()], 4, async ([at, routes]) => {
        const who = bearer(`twins-secret-${at}`);
        const twin = await makeNamed(url, who, (named) => routes.map((route) => route.ask(named)), victim.loot);
        // Only a build has the page, which is nobody's.
        for (const route of routes.filter(({ group }) => group !== 'page')) {
          const answer = await attacker.ask({ method: route.method, ...route.ask(twin) }, who);
          if (answer.status !== route.status) problems.push(`${titleOf(route)}: ${answer.status} ${answer.body}`);
        }
      });
      expect(problems).toEqual([]);
    });

    test('and after all of that she has what she had, to the byte, and nothing has happened to it', async () => {
      expect(Object.fromEntries(await stateOf(url, victim))).toEqual(Object.fromEntries(before));
      expect(attacker.counted.combinations).toBeGreaterThan(isWhole ? 3_500 : 700);
    });

    // Which is counted as use of the links.
    test('and a link that serves tells nothing beside what it shows', async () => {
      const { loot } = victim;
      const problems: string[] = [];
      const asked = ROUTES.filter(({ method }) => method === 'GET' || method === 'HEAD').flatMap((route) =>
        SECRETS.filter((field) => {
          const link = linkOf(field);
          return link && route.bySecret?.[link.kind]?.[link.is] === 'served';
        }).map((field) => ({ route, field, link: linkOf(field) })),
      );
      expect(asked.length).toBeGreaterThan(20);
      await inTurn(asked, 8, async ({ route, field, link }) => {
        const [sentId = 'sentId'] = link?.sent ?? [];
        const secrets = Object.fromEntries(SECRETS.map((each) => [each, loot[field]]));
        const request: Ask = { method: route.method, ...route.ask({ ...loot, ...secrets, sentId: loot[sentId] }) };
        const answer = await attacker.ask(request, {});
        const shown: readonly string[] = ['name', ...(link?.shows ?? [])];
        const leaks = attacker.judge.leaksOf(answer, request).filter((told) => !shown.includes(told));
        const isServed = answer.status === route.status;
        // Of another link, which has nothing at this place.
        const isElsewhere = answer.status === 404 && link?.kind === 'download';
        if (leaks.length > 0 || !(isServed || isElsewhere))
          problems.push(`${titleOf(route)} by ${field}: ${answer.status} ${leaks.join()} ${answer.body}`);
      });
      expect(problems).toEqual([]);
    });
  },
);

/** Whether tickets could open it. */
function takesTickets({ bytesOfFile, bySecret }: Route): boolean {
  return bytesOfFile === true || bySecret?.download !== undefined || typeof bySecret?.upload?.locked === 'object';
}

/** These routes, and some of the others, which look at nothing of the kind. */
function orSome(which: (route: Route) => boolean, turn: number): (route: Route) => boolean {
  return (route) => which(route) || ROUTES.indexOf(route) % OF_ALIKE === turn;
}

function isOfBytes({ bytesOfFile }: Route): boolean {
  return bytesOfFile === true;
}

/** Whether the thing that it is asked about stays as it is, though there may be more than before. */
function keepsThing({ method, names, status, bytesOfFile }: Route): boolean {
  if (method === 'GET' || method === 'HEAD' || bytesOfFile === true) return true;
  return (method === 'POST' || method === 'PUT') && (names !== true || status === 201);
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
async function stateOf(base: string, { loot, links }: Victim): Promise<Map<string, unknown>> {
  const routes = ROUTES.filter(
    ({ method, path, bySecret, askers }) =>
      (method === 'GET' || method === 'HEAD') && !bySecret && askers === 'owner' && path !== '/check',
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
  for (const list of ['files', 'trash', 'links', ...links.map((id) => `links/${id}/uploads`)]) {
    await look(`all ${list}`, { method: 'GET', path: `/api/${list}?limit=1000` });
  }
  return state;
}
