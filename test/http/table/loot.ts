/**
 * What an attacker has got hold of: every id, digest, name and secret of somebody else's things, links that are shut, tickets of other
 * downloads, and places in lists and events. And the same of nobody, which is as long, to compare with.
 */
import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import type { CreatedLinkJson } from '../../../server/wire/links.ts';
import { md5 } from '../../harness/bytes.ts';
import { type Answer, send } from '../../harness/tus.ts';
import { until } from '../../system/support.ts';
import { json, putFile } from '../support.ts';
import { ask } from './ask.ts';
import { lastPart, makeThing, nothing, type Thing } from './things.ts';

export type Headers = Record<string, string>;

/** Secrets of links that nobody may open any more, or not without more. */
interface ShutLinks {
  expiredSecret: string;
  revokedSecret: string;
  /** It has a password. */
  lockedSecret: string;
  /** All its downloads are used. */
  spentSecret: string;
}

export interface Loot extends Thing, ShutLinks {
  /** Of bytes that are in the trash alone. */
  trashedMd5: string;
}

/** What of the loot stands in requests. */
export type Field = Exclude<keyof Loot, 'bytes'>;

/** The fields that hold a secret whose knowledge is a right: whoever has it may open the link. */
export function isLive(field: Field): boolean {
  return field.endsWith('Secret') && !(field in NO_LINKS);
}

/** Secrets of links that answer otherwise than unknown ones, as only those who had them can ask; but open nothing. */
export function isShut(field: Field): boolean {
  return field in NO_LINKS && field !== 'revokedSecret';
}

const NO_LINKS: ShutLinks = { expiredSecret: '', revokedSecret: '', lockedSecret: '', spentSecret: '' };

export const PASSWORD = 'a password that he does not know';
const JSON_TYPE = { 'Content-Type': 'application/json' };

/** The loot of an owner who does not exist. @param like - as long as whose it is. */
export function nobodysLoot(like?: Thing): Loot {
  const secret = (): string => randomBytes(24).toString('base64url');
  return {
    ...nothing(),
    ...(like ? { deletion: like.deletion.replaceAll(/\d/g, '9') } : {}),
    expiredSecret: secret(),
    revokedSecret: secret(),
    lockedSecret: secret(),
    spentSecret: secret(),
    trashedMd5: md5(randomBytes(8)),
  };
}

export interface Victim {
  loot: Loot;
  /** Cookies that an attacker got from the victim's links, for other downloads than those he wants. */
  tickets: string[];
  /** Of the victim's last event. */
  eventId: string;
  /** Where pages of the victim's lists begin. */
  cursors: string[];
}

/** Makes an owner's things, and what an attacker can know of them. */
export async function makeVictim(base: string, owner: Headers): Promise<Victim> {
  const thing = await makeThing(base, owner);
  const second = await putFile(base, `second of ${thing.name}`, { filename: `second-${thing.name}` }, owner);
  const share = (more: object): Promise<CreatedLinkJson> =>
    makeLink(base, owner, { files: [thing.fileId, second.fileId], ...more });
  const links = {
    expired: await share({ expiresIn: 1 }),
    revoked: await share({}),
    locked: await share({ password: PASSWORD, folders: [thing.folder] }),
    spent: await share({ downloads: 1 }),
    limited: await share({ downloads: 1_000 }),
  };
  await send('DELETE', `${base}/api/links/${links.revoked.id}`, { headers: owner });
  // The first file is the one that requests of the table ask for.
  const tickets = [
    ...cookiesOf(await send('GET', `${links.spent.url}/files/2`)),
    ...cookiesOf(await send('GET', `${links.limited.url}/files/1`)),
  ];
  expect(tickets).toHaveLength(2);
  await until('a link has expired', async () => (await send('GET', links.expired.url)).code === 'link_expired');
  const loot = {
    ...thing,
    trashedMd5: md5(Buffer.from(`trash of ${thing.name}`)),
    expiredSecret: lastPart(links.expired.url),
    revokedSecret: lastPart(links.revoked.url),
    lockedSecret: lastPart(links.locked.url),
    spentSecret: lastPart(links.spent.url),
  };
  return { loot, tickets, eventId: await lastEventOf(base, owner), cursors: await cursorsOf(base, owner) };
}

export async function makeLink(base: string, owner: Headers, given: object): Promise<CreatedLinkJson> {
  const options = { headers: { ...owner, ...JSON_TYPE }, body: JSON.stringify(given) };
  const answer = await send('POST', `${base}/api/links`, options);
  if (answer.status !== 201) throw new Error(`POST /api/links: ${answer.status} ${answer.body}`);
  return json<CreatedLinkJson>(answer);
}

/** The cookies of an answer, as a client sends them back. */
export function cookiesOf({ headers }: Answer): string[] {
  return (headers['set-cookie'] ?? []).map((cookie) => cookie.split(';', 1)[0] ?? '');
}

/** The id that a stream of events begins with: it names the last event of this owner, and stays as long as there is no other. */
async function lastEventOf(base: string, owner: Headers): Promise<string> {
  const { body } = await ask(base, { method: 'GET', path: '/api/events', headers: owner, endless: true });
  const [, id = ''] = /^id: (\S+)$/m.exec(body) ?? [];
  expect(id).not.toBe('');
  return id;
}

async function cursorsOf(base: string, owner: Headers): Promise<string[]> {
  const lists = [
    ...['uploaded', 'name', 'size'].map((sort) => `files?sort=${sort}`),
    'files?prefix=',
    'files?recursive=true&prefix=',
    'trash?',
    'links?',
  ];
  const cursors = await Promise.all(
    lists.map(async (list) => {
      const page = await send('GET', `${base}/api/${list}&limit=1`, { headers: owner });
      return json<{ nextCursor: string | null }>(page).nextCursor;
    }),
  );
  const found = cursors.filter((cursor) => cursor !== null);
  expect(found).toHaveLength(lists.length);
  return found;
}
