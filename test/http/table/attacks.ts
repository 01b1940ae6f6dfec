/**
 * What an attacker sends, made from the table of routes: every route, with every id, digest, name and secret of somebody else in the
 * place of each that the route takes, beside the same request about what nobody has. A new route, and a new field of things, are
 * attacked by themselves.
 */
import { type Dialect, DIALECTS } from '../../../server/protocols/rufh/dialects.ts';
import type { Ask } from './ask.ts';
import type { ByLink, BySecret } from './by-secret.ts';
import { type Field, FIELDS, type Loot, nobodysLoot } from './loot.ts';
import { titleOf } from './routes.ts';
import type { Route } from './route.ts';
import { linkOf, SECRETS } from './stolen-links.ts';
import { fieldsReadBy, freshBytes, nothing } from './things.ts';

/**
 * In all ways: something stands where it belongs, as an id of a file where one of a file is asked for. Always: something of the same
 * kind does, as the id of an upload by another link. Now and then: something else does.
 */
export type Tried = 'in all ways' | 'always' | 'now and then';

/** A request about somebody else's things, and the same one about things that do not exist. */
export interface Attack {
  title: string;
  route: Route;
  theirs: Ask;
  nobodys: Ask;
  /** What the two requests are about. */
  about: readonly [Loot, Loot];
  tried: Tried;
  /** How it is refused, by the table: he has the secret of a link. Else as nobody's is. */
  told?: Exclude<ByLink, 'served'>;
  /** Nobody's requests of attacks with the same text differ in nothing but what is random: one answer is that of all. */
  like?: string;
}

/** Another way to send a request; undefined where it is none for this one. */
export interface Way {
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

/** Other ways of asking for something: what they change comes after the question whose the thing is, or should. */
export const READING_WAYS: readonly Way[] = [
  { title: 'HEAD', of: (request) => (request.method === 'GET' ? { ...request, method: 'HEAD' } : undefined) },
  reading('a range', { Range: 'bytes=1-' }),
  reading('where it has changed', { 'If-None-Match': '*' }),
  reading('where it is there', { 'If-Match': '*' }),
  reading('as a browser', { Accept: 'text/html,*/*;q=0.8', 'Sec-Fetch-Site': 'same-origin' }),
];

/** Other ways of speaking with an upload. */
export const SENDING_WAYS: readonly Way[] = [
  {
    // Elsewhere it is a POST, whatever the header says.
    title: 'by X-HTTP-Method-Override',
    of: ({ method, path, headers, ...rest }) =>
      /^(?:\/s\/[^/]+)?\/uploads/.test(path)
        ? { ...rest, path, method: 'POST', headers: { ...headers, 'X-HTTP-Method-Override': method } }
        : undefined,
  },
  ...DIALECTS.filter(isOther).map((dialect): Way => ({
    title: `in dialect ${dialect.version}`,
    of: (request, { speaks }) =>
      speaks === 'rufh' ? { ...request, headers: spoken(request.headers ?? {}, dialect) } : undefined,
  })),
];

/** Whether more than the number differs from the dialect before it. Requests of the table speak the first. */
function isOther(dialect: Dialect, index: number): boolean {
  const [one, other] = [dialect, DIALECTS[index - 1] ?? dialect].map((each) => JSON.stringify({ ...each, version: 0 }));
  return one !== other;
}

/** Headers of the newest dialect, in another one. */
function spoken(headers: Record<string, string>, { version, completion }: Dialect): Record<string, string> {
  const { 'Upload-Complete': isComplete, ...rest } = headers;
  const says = completion === 'Upload-Complete' || isComplete === undefined ? isComplete : NOT[isComplete];
  return {
    ...rest,
    'Upload-Draft-Interop-Version': String(version),
    ...(says === undefined ? {} : { [completion]: says }),
  };
}

const NOT: Record<string, string> = { '?0': '?1', '?1': '?0' };

/** The fields of a thing that a route's requests have. */
function slotsOf(route: Route): { slots: Field[]; hasBytes: boolean } {
  const read = fieldsReadBy((thing) => route.ask(thing), nobodysLoot());
  return { slots: FIELDS.filter((field) => read.has(field)), hasBytes: read.has('bytes') };
}

export interface Stolen {
  loot: Loot;
  nobody: Loot;
  /** Secrets of links of the attacker's own, by the fields that hold such. */
  own: Partial<Loot>;
}

/** What stands in the places of a route's request. */
interface Case {
  title: string;
  /** What of the loot it tries. */
  field?: Field;
  theirs: Partial<Loot>;
  nobodys: Partial<Loot>;
  tried: Tried;
  told?: Attack['told'];
  /** Cases of a route with the same key have nobody's requests that are alike. */
  like: string;
}

/**
 * All attacks on a route.
 *
 * @param way - with what is tried in all ways alone, but for AS_IT_IS.
 * @param isOpen - whether a field is the right to ask this route, as with PUBLIC_READ.
 */
export function attacksOn(
  route: Route,
  stolen: Stolen,
  way: Way,
  isOpen: (route: Route, field: Field) => boolean,
): Attack[] {
  const { loot, nobody } = stolen;
  const { slots: all, hasBytes } = slotsOf(route);
  const makes = route.names !== true && (route.takes.includes('name') || route.status === 201);
  const slots = all.filter((slot) => !makes || (slot !== 'name' && slot !== 'folder'));
  const cases = route.bySecret ? casesBySecret(route.bySecret, slots, stolen) : casesOf(slots, stolen);

  // Of bytes that he has not, he has the digests; what he makes has a name of his own.
  function fresh(): Partial<Loot> {
    if (makes) {
      const { bytes, name, folder } = nothing();
      return { bytes, name, folder };
    }
    return hasBytes ? { bytes: freshBytes() } : {};
  }

  return cases
    .filter(({ tried, field }) => (way === AS_IT_IS || tried === 'in all ways') && !(field && isOpen(route, field)))
    .flatMap(({ title, theirs, nobodys, tried, told, like }): Attack[] => {
      const about = [
        { ...loot, ...theirs, ...fresh() },
        { ...nobody, ...nobodys, ...fresh() },
      ] as const;
      const [one, other] = about.map((each) => way.of({ method: route.method, ...route.ask(each) }, route));
      if (!one || !other) return [];
      return [
        {
          title: [titleOf(route), title, way.title].filter((part) => part !== '').join(' '),
          route,
          theirs: one,
          nobodys: other,
          about,
          tried,
          ...(told ? { told } : {}),
          ...(makes ? {} : { like: [titleOf(route), way.title, like].join() }),
        },
      ];
    });
}

/** Every field in the place of every other. */
function casesOf(slots: readonly Field[], { loot, nobody }: Stolen): Case[] {
  if (slots.length === 0) return [{ title: '', theirs: {}, nobodys: {}, tried: 'in all ways', like: '' }];
  return slots.flatMap((slot) =>
    FIELDS.map((field) => ({
      title: field === slot ? `(${slot})` : `(${field} as ${slot})`,
      field,
      theirs: { [slot]: loot[field] },
      nobodys: { [slot]: nobody[field] },
      tried: triedAs(field, slot),
      like: `${slot} ${shapeOf(field, nobody[field])}`,
    })),
  );
}

/** Every field in the place of a link's secret; and in the other places, by links to which it does not belong. */
function casesBySecret(bySecret: BySecret, slots: readonly Field[], { loot, nobody, own }: Stolen): Case[] {
  const [secret] = slots.filter((slot) => linkOf(slot));
  if (!secret) throw new Error('a route that is asked by a secret has none in its requests');
  const others = slots.filter((slot) => slot !== secret);

  const bySecrets = FIELDS.flatMap((field): Case[] => {
    const link = linkOf(field);
    const told = link && bySecret[link.kind]?.[link.is];
    if (told === 'served') return [];
    // With what was sent by it.
    const [sent = 'sentId'] = link?.sent ?? [];
    return [
      {
        title: field === secret ? `(${field})` : `(${field} as ${secret})`,
        theirs: { [secret]: loot[field], ...(others.includes('sentId') ? { sentId: loot[sent] } : {}) },
        nobodys: { [secret]: nobody[field] },
        tried: belongs(field, secret) ? 'in all ways' : 'now and then',
        ...(told ? { told } : {}),
        like: `${secret} ${shapeOf(field, nobody[field])}`,
      },
    ];
  });

  const keys: [string, Partial<Loot>, ReturnType<typeof linkOf>][] = [
    ['his own link', own, undefined],
    ...SECRETS.filter((field) => linkOf(field)?.kind === linkOf(secret)?.kind).map((field): (typeof keys)[number] => [
      field,
      { [secret]: loot[field] },
      linkOf(field),
    ]),
  ];
  const byOthers = others.flatMap((slot) =>
    FIELDS.flatMap((field) =>
      keys
        // What is nothing of links is tried by one of hers, and by his.
        .filter(([, , link]) => !link?.sent?.some((sent) => sent === field))
        .filter(([, , link]) => !link || link.is === 'live' || belongs(field, slot))
        .map(([name, key]) => ({
          title: `(${field} as ${slot}) by ${name}`,
          theirs: { ...key, [slot]: loot[field] },
          nobodys: { ...key, [slot]: nobody[field] },
          tried: triedAs(field, slot),
          like: `${name} ${slot} ${shapeOf(field, nobody[field])}`,
        })),
    ),
  );
  return [...bySecrets, ...byOthers];
}

function triedAs(field: Field, slot: Field): Tried {
  if (field === slot) return 'in all ways';
  return belongs(field, slot) ? 'always' : 'now and then';
}

/** Whether a field is of the kind that is asked for. */
function belongs(field: Field, slot: Field): boolean {
  const isSent = (name: string): boolean => /sentId$/i.test(name);
  return field === slot || (linkOf(field) && linkOf(slot)) !== undefined || (isSent(field) && isSent(slot));
}

/** Texts of one shape are told apart by nothing but a look for what they name. */
function shapeOf(field: Field, text: string): string {
  if (/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)) return 'id';
  if (/^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$/.test(text)) return `${text.length} hex digits`;
  return linkOf(field) ? 'secret' : field;
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
