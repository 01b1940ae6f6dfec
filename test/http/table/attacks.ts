/**
 * What an attacker sends, made from the table of routes: every route, with every id, digest, name and secret of somebody else in the
 * place of each that the route takes, beside the same request about what nobody has. A new route, and a new field of things, are
 * attacked by themselves.
 */
import { DIALECTS } from '../../../server/protocols/rufh/dialects.ts';
import type { Answer } from '../../harness/tus.ts';
import { type Ask, wholeOf } from './ask.ts';
import { isLive, isShut, type Field, type Loot, nobodysLoot } from './loot.ts';
import { titleOf } from './routes.ts';
import type { Route } from './route.ts';
import { nothing } from './things.ts';

/** A request about somebody else's things, and the same one about things that do not exist. */
export interface Attack {
  title: string;
  route: Route;
  theirs: Ask;
  nobodys: Ask;
  /** What the two requests are about. */
  about: readonly [Loot, Loot];
  /** Something stands where it belongs: an id of a file where one of a file is asked for. */
  isInPlace: boolean;
  /** The answers may differ, as it names a link that has ended: but nothing is served. */
  isShut: boolean;
}

/** Another way to send a request; undefined where it is none for this one. */
interface Way {
  title: string;
  of(request: Ask, route: Route): Ask | undefined;
}

function reading(title: string, headers: Record<string, string>): Way {
  return {
    title,
    of: (request) =>
      request.method === 'GET' ? { ...request, headers: { ...request.headers, ...headers } } : undefined,
  };
}

export const AS_IT_IS: Way = { title: '', of: (request) => request };
/** The same, to be tried only with what belongs into each place. */
export const IN_ITS_PLACE: Way = { title: '', of: (request) => request };

/** The other ways of asking: what they change comes after the question whose the thing is, or should. */
export const OTHER_WAYS: readonly Way[] = [
  { title: 'HEAD', of: (request) => (request.method === 'GET' ? { ...request, method: 'HEAD' } : undefined) },
  {
    // Elsewhere it is a POST, whatever the header says.
    title: 'by X-HTTP-Method-Override',
    of: ({ method, path, headers, ...rest }) =>
      /^(?:\/s\/[^/]+)?\/uploads/.test(path)
        ? { ...rest, path, method: 'POST', headers: { ...headers, 'X-HTTP-Method-Override': method } }
        : undefined,
  },
  reading('a range', { Range: 'bytes=1-' }),
  reading('where it has changed', { 'If-None-Match': '*' }),
  reading('where it is there', { 'If-Match': '*' }),
  reading('as a browser', { Accept: 'text/html,*/*;q=0.8', 'Sec-Fetch-Site': 'same-origin' }),
  ...DIALECTS.map(({ version }): Way => ({
    title: `in dialect ${version}`,
    of: (request, { speaks }) =>
      speaks === 'rufh'
        ? { ...request, headers: { ...request.headers, 'Upload-Draft-Interop-Version': String(version) } }
        : undefined,
  })),
];

const FIELDS = Object.keys(nobodysLoot()).filter((field) => field !== 'bytes') as Field[];

/** The fields of a thing that a route's requests have. */
function slotsOf(route: Route): Field[] {
  const read = new Set<string>();
  const seen = new Proxy(nobodysLoot(), {
    get: (target, field, receiver) => {
      read.add(String(field));
      return Reflect.get(target, field, receiver) as unknown;
    },
  });
  route.ask(seen);
  return FIELDS.filter((field) => read.has(field));
}

export interface Stolen {
  loot: Loot;
  nobody: Loot;
  /** Secrets of links of the attacker's own, by the fields that hold such. */
  own: Partial<Loot>;
}

/**
 * All attacks on a route.
 *
 * @param ways - each with only what belongs into its place, but for AS_IT_IS.
 * @param isOpen - whether a field is the right to ask this route, as with PUBLIC_READ.
 */
export function attacksOn(
  route: Route,
  { loot, nobody, own }: Stolen,
  ways: readonly Way[],
  isOpen: (route: Route, field: Field) => boolean,
): Attack[] {
  const makes = route.names !== true && (route.takes.includes('name') || route.status === 201);
  const slots = slotsOf(route).filter((slot) => !makes || (slot !== 'name' && slot !== 'folder'));
  const attacks: Attack[] = [];

  function add(
    way: Way,
    title: string,
    [theirs, nobodys]: readonly [Partial<Loot>, Partial<Loot>],
    { isInPlace, isShutLink = false }: { isInPlace: boolean; isShutLink?: boolean },
  ): void {
    // Of bytes that he has not, he has the digests; what he makes has a name of his own.
    const fresh = (): Partial<Loot> => {
      const { bytes, name, folder } = nothing();
      return makes ? { bytes, name, folder } : { bytes };
    };
    const about = [
      { ...loot, ...theirs, ...fresh() },
      { ...nobody, ...nobodys, ...fresh() },
    ] as const;
    const [one, other] = about.map((each) => way.of({ method: route.method, ...route.ask(each) }, route));
    if (!one || !other) return;
    attacks.push({
      title: [titleOf(route), title, way.title].filter((part) => part !== '').join(' '),
      route,
      theirs: one,
      nobodys: other,
      about,
      isInPlace,
      isShut: isShutLink,
    });
  }

  for (const way of ways) {
    if (slots.length === 0) add(way, '', [{}, {}], { isInPlace: true });
    for (const slot of slots) {
      for (const field of FIELDS) {
        const isInPlace = field === slot || (slot.endsWith('Secret') && field.endsWith('Secret'));
        if ((way !== AS_IT_IS && !isInPlace) || isOpen(route, field)) continue;
        const title = field === slot ? `(${slot})` : `(${field} as ${slot})`;
        const change = { [slot]: loot[field] };
        const none = { [slot]: nobody[field] };
        if (route.bySecret !== true) {
          add(way, title, [change, none], { isInPlace });
        } else if (slot.endsWith('Secret')) {
          if (!isLive(field)) add(way, title, [change, none], { isInPlace, isShutLink: isShut(field) });
        } else {
          // By a link of the attacker's own; and by the link itself, for what does not belong to it.
          const both = [
            { ...own, ...change },
            { ...own, ...none },
          ] as const;
          add(way, `${title} by his own link`, both, { isInPlace });
          const keys = Object.fromEntries(slots.filter(isLive).map((key) => [key, loot[key]]));
          if (field !== slot) add(way, `${title} by another's link`, [change, { ...keys, ...none }], { isInPlace });
        }
      }
    }
  }
  return attacks;
}

/** What only the victim knows: it is in no answer to a request that does not have it. */
export function leaksOf(answer: Answer, asked: Ask, loot: Loot): string[] {
  const given = JSON.stringify([asked.path, asked.headers, String(asked.body ?? '')]);
  const told = JSON.stringify([answer.headers, answer.body]);
  const isGiven = (text: string): boolean =>
    [
      text,
      ...(['utf8', 'hex'] as const).map((form) => Buffer.from(text, form).toString('base64').replace(/=+$/, '')),
    ].some((spelt) => spelt !== '' && given.includes(spelt));
  const known: [string, string][] = [
    ...FIELDS.map((field): [string, string] => [field, loot[field]]),
    ['bytes', loot.bytes.toString()],
  ];
  return known
    .filter(([, text]) => told.includes(JSON.stringify(text).slice(1, -1)) && !isGiven(text))
    .map(([field]) => field);
}

/** Whether two answers say the same, but for what each repeats of its request, and what differs between any two things. */
export function areEqual(one: Answer, other: Answer, about: readonly [Loot, Loot]): boolean {
  if (JSON.stringify(bare(one)) === JSON.stringify(bare(other))) return true;
  return JSON.stringify(comparable(one, about[0])) === JSON.stringify(comparable(other, about[1]));
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
  const repeated = FIELDS.map((field) => about[field]).toSorted((a, b) => b.length - a.length);
  for (const value of repeated) text = text.replaceAll(value, '<stolen>');
  return wholeOf({ ...rest, ...(JSON.parse(text) as Pick<Answer, 'headers' | 'body'>) }, '<stolen>');
}

/** Where a link does not lead: other positions than its own, and ways out of its folder. */
export function beyond(path: string, loot: Loot): string[] {
  const [, base = '', kind = ''] = /^(\/s\/[\w-]{32})\/(files|folders)\//.exec(path) ?? [];
  if (kind === '') return [];
  const out = ['..', '%2e%2e', '.', '%2E%2E%2F..', '..%2f..', '%00', `..%5c${loot.name}`];
  const names = [loot.name, `second-${loot.name}`, `deleted/${loot.folder}/file`, `open-${loot.name}`];
  const ids = [loot.fileId, loot.trashedId, loot.uploadId, loot.openId, loot.linkId];
  return [
    '0',
    '2',
    '3',
    '-1',
    '01',
    '1e0',
    '1%20',
    '999999',
    '1000000',
    'NaN',
    '%31%30',
    ...[...out, ...names, ...ids].map((name) => `1/${name}`),
    ...names.flatMap((name) => out.map((way) => `1/${way}/${name}`)),
    `1/${loot.folder}/file`,
    `1/${loot.folder}`,
    `1/file/file`,
    `1/FILE`,
    `2/file`,
  ].map((rest) => `${base}/${kind}/${rest}`);
}

/** A cursor of a list, with the places of nobody's things in it. */
export function nobodysCursor(cursor: string, loot: Loot, nobody: Loot): string {
  let text = Buffer.from(cursor, 'base64url').toString();
  for (const field of FIELDS) text = text.replaceAll(loot[field], nobody[field]);
  // Of things that requests do not name.
  text = text.replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}/g, nobody.fileId);
  return Buffer.from(text).toString('base64url');
}

/**
 * One request about the attacker's own and the stolen, for routes that take several: the answer must not depend on how many of them
 * are whose. Undefined for other routes.
 */
export function mixed(route: Route, one: Loot, other: Loot): Ask | undefined {
  const [first, second] = [route.ask(one), route.ask(other)];
  if (typeof first.body === 'string' && first.body.startsWith('{')) {
    const [a, b] = [first.body, String(second.body)].map((body) => JSON.parse(body) as Record<string, unknown>);
    const lists = Object.keys(a ?? {}).filter((key) => Array.isArray(a?.[key]));
    if (lists.length === 0) return undefined;
    const both = Object.fromEntries(lists.map((key) => [key, [a?.[key], b?.[key]].flat()]));
    return { method: route.method, ...first, body: JSON.stringify({ ...a, ...both }) };
  }
  const [, id] = /[?&](id=[\w-]+)/.exec(second.path) ?? [];
  return id === undefined ? undefined : { method: route.method, ...first, path: `${first.path}&${id}` };
}
