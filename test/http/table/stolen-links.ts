/** Links of which an attacker has the secrets: of either kind, as they are and as they end. And the uploads that were sent by them. */
import { expect } from 'vitest';
import type { CreatedLinkJson } from '../../../server/wire/links.ts';
import { type Answer, createUpload, patch, send } from '../../harness/tus.ts';
import { until } from '../../system/support.ts';
import { json } from '../support.ts';
import type { LinkCondition } from './by-secret.ts';
import { freshBytes, HALF, lastPart, SIZE, type Thing } from './things.ts';

export type Headers = Record<string, string>;

interface StolenLink {
  kind: 'download' | 'upload';
  is: LinkCondition;
  /** What it tells those who open it, beside the name: folders, and what is sent, are called by it, too. */
  shows?: readonly (keyof Thing)[];
  /** The uploads that were sent by it: the first is unfinished. */
  sent?: readonly (keyof SentIds)[];
}

/** Secrets of links, beside those of a thing. */
export interface LinkSecrets {
  expiredSecret: string;
  revokedSecret: string;
  lockedSecret: string;
  spentSecret: string;
  expiredRequestSecret: string;
  revokedRequestSecret: string;
  lockedRequestSecret: string;
  spentRequestSecret: string;
  fullRequestSecret: string;
}

/** Ids of uploads by links, beside that of a thing. */
export interface SentIds {
  sentId: string;
  /** By the same link as `sentId`; it has become a file. */
  wholeSentId: string;
  expiredSentId: string;
  revokedSentId: string;
  lockedSentId: string;
  spentSentId: string;
  fullSentId: string;
}

type SecretOfThing = Extract<keyof Thing, `${string}Secret`>;

/** By the field of the loot that has its secret. A link that is not here fails to compile. */
const LINKS: Readonly<Record<keyof LinkSecrets | SecretOfThing, StolenLink>> = {
  linkSecret: { kind: 'download', is: 'live', shows: ['md5', 'bytes'] },
  folderSecret: { kind: 'download', is: 'live', shows: ['folder'] },
  expiredSecret: { kind: 'download', is: 'expired' },
  revokedSecret: { kind: 'download', is: 'revoked' },
  lockedSecret: { kind: 'download', is: 'locked' },
  spentSecret: { kind: 'download', is: 'spent' },
  requestSecret: { kind: 'upload', is: 'live', sent: ['sentId', 'wholeSentId'] },
  expiredRequestSecret: { kind: 'upload', is: 'expired', sent: ['expiredSentId'] },
  revokedRequestSecret: { kind: 'upload', is: 'revoked', sent: ['revokedSentId'] },
  lockedRequestSecret: { kind: 'upload', is: 'locked', sent: ['lockedSentId'] },
  spentRequestSecret: { kind: 'upload', is: 'spent', sent: ['spentSentId'] },
  fullRequestSecret: { kind: 'upload', is: 'full', sent: ['fullSentId'] },
};

export type SecretField = keyof typeof LINKS;

export const SECRETS = Object.keys(LINKS) as SecretField[];

/** The link whose secret the field has; undefined for other fields. */
export function linkOf(field: string): StolenLink | undefined {
  return (LINKS as Partial<Record<string, StolenLink>>)[field];
}

export const PASSWORD = 'a password that he does not know';
const JSON_TYPE = { 'Content-Type': 'application/json' };

export async function makeLink(base: string, owner: Headers, given: object): Promise<CreatedLinkJson> {
  const options = { headers: { ...owner, ...JSON_TYPE }, body: JSON.stringify(given) };
  const answer = await send('POST', `${base}/api/links`, options);
  if (answer.status !== 201) throw new Error(`POST /api/links: ${answer.status} ${answer.body}`);
  return json<CreatedLinkJson>(answer);
}

/** Gives a link its password. @returns the cookies for it. */
export async function unlock(url: string): Promise<string[]> {
  const answer = await send('POST', url, {
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ password: PASSWORD }).toString(),
  });
  if (answer.status !== 303) throw new Error(`POST ${url}: ${answer.status} ${answer.body}`);
  const cookies = cookiesOf(answer);
  expect(cookies).toHaveLength(1);
  return cookies;
}

export interface MadeLinks {
  known: LinkSecrets & Omit<SentIds, 'sentId'>;
  /** Cookies that he got by them, for other downloads than those he wants. */
  tickets: string[];
}

/**
 * Makes links of an owner's, and ends them in all ways.
 *
 * @param files - what the links for downloads lead to. The first is the one that requests of the table ask for.
 */
export async function makeLinks(
  base: string,
  owner: Headers,
  thing: Thing,
  files: readonly string[],
): Promise<MadeLinks> {
  const share = (more: object): Promise<CreatedLinkJson> => makeLink(base, owner, { files, ...more });
  const request = (more: object): Promise<CreatedLinkJson> =>
    makeLink(base, owner, { kind: 'upload', folder: `sent-${thing.folder}`, ...more });
  const links = {
    expired: await share({ expiresIn: 1 }),
    revoked: await share({}),
    locked: await share({ password: PASSWORD, folders: [thing.folder] }),
    spent: await share({ downloads: 1 }),
    limited: await share({ downloads: 1_000 }),
  };
  const requests = {
    expired: await request({}),
    revoked: await request({}),
    locked: await request({ password: PASSWORD }),
    spent: await request({ maxFiles: 1 }),
    full: await request({ maxBytes: SIZE }),
  };
  const sent = {
    wholeSentId: await sendHalf(`${base}/s/${thing.requestSecret}`, thing, { isWhole: true }),
    expiredSentId: await sendHalf(requests.expired.url, thing),
    revokedSentId: await sendHalf(requests.revoked.url, thing),
    lockedSentId: await sendHalf(requests.locked.url, thing, { cookies: await unlock(requests.locked.url) }),
    spentSentId: await sendHalf(requests.spent.url, thing),
    fullSentId: await sendHalf(requests.full.url, thing),
  };
  // Not before: by then it takes no upload.
  await send('PATCH', `${base}/api/links/${requests.expired.id}`, {
    headers: { ...owner, ...JSON_TYPE },
    body: JSON.stringify({ expiresIn: 1 }),
  });
  for (const { id } of [links.revoked, requests.revoked])
    await send('DELETE', `${base}/api/links/${id}`, { headers: owner });
  const tickets = [
    ...cookiesOf(await send('GET', `${links.spent.url}/files/2`)),
    ...cookiesOf(await send('GET', `${links.limited.url}/files/1`)),
  ];
  expect(tickets).toHaveLength(2);
  for (const { url } of [links.expired, requests.expired])
    await until('a link has expired', async () => (await send('GET', url)).code === 'link_expired');
  await until('the uploads by a revoked link have ended', async () => {
    const answer = await send('GET', `${base}/api/links/${requests.revoked.id}/uploads`, { headers: owner });
    return !answer.body.includes('receiving');
  });
  return {
    known: {
      expiredSecret: lastPart(links.expired.url),
      revokedSecret: lastPart(links.revoked.url),
      lockedSecret: lastPart(links.locked.url),
      spentSecret: lastPart(links.spent.url),
      expiredRequestSecret: lastPart(requests.expired.url),
      revokedRequestSecret: lastPart(requests.revoked.url),
      lockedRequestSecret: lastPart(requests.locked.url),
      spentRequestSecret: lastPart(requests.spent.url),
      fullRequestSecret: lastPart(requests.full.url),
      ...sent,
    },
    tickets,
  };
}

/** Sends an upload by a link, or half of one. @returns its id. */
async function sendHalf(
  url: string,
  { name }: Thing,
  { isWhole = false, cookies = [] }: { isWhole?: boolean; cookies?: readonly string[] } = {},
): Promise<string> {
  const bytes = freshBytes();
  const headers = cookies.length > 0 ? { Cookie: cookies.join('; ') } : {};
  const location = await createUpload(url, SIZE, { filename: `sent-${name}` }, headers);
  const { status, body } = await patch(location, 0, isWhole ? bytes : bytes.subarray(0, HALF));
  if (status !== 204) throw new Error(`PATCH ${location}: ${status} ${body}`);
  return lastPart(location);
}

/** The cookies of an answer, as a client sends them back. */
export function cookiesOf({ headers }: Answer): string[] {
  return (headers['set-cookie'] ?? []).map((cookie) => cookie.split(';', 1)[0] ?? '');
}
