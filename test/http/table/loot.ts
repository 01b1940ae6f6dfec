/**
 * What an attacker has got hold of: every id, digest, name and secret of somebody else's things, links that are shut, tickets of other
 * downloads, and places in lists and events. And the same of nobody, which is as long, to compare with.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { FilePageJson } from '../../../server/wire/files.ts';
import type { QuotaJson } from '../../../server/wire/quota.ts';
import { md5 } from '../../harness/bytes.ts';
import { send } from '../../harness/tus.ts';
import type { Reached } from '../../nodes/in-turn.ts';
import { until } from '../../system/support.ts';
import { json, putFile } from '../support.ts';
import { ask } from './ask.ts';
import { type Headers, type LinkSecrets, makeLinks, type SentIds } from './stolen-links.ts';
import { makeThing, nothing, type Thing } from './things.ts';

export interface Loot extends Thing, LinkSecrets, SentIds {
  /** Of bytes that are in the trash alone. */
  trashedMd5: string;
}

/** What of the loot stands in requests. */
export type Field = Exclude<keyof Loot, 'bytes'>;

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
    expiredRequestSecret: secret(),
    revokedRequestSecret: secret(),
    lockedRequestSecret: secret(),
    spentRequestSecret: secret(),
    fullRequestSecret: secret(),
    wholeSentId: randomUUID(),
    expiredSentId: randomUUID(),
    revokedSentId: randomUUID(),
    lockedSentId: randomUUID(),
    spentSentId: randomUUID(),
    fullSentId: randomUUID(),
    trashedMd5: md5(randomBytes(8)),
  };
}

export const FIELDS = Object.keys(nobodysLoot()).filter((field) => field !== 'bytes') as Field[];

export interface Victim {
  loot: Loot;
  /** Cookies that an attacker got from the victim's links, for other downloads than those he wants. */
  tickets: string[];
  /** Of the victim's last event. */
  eventId: string;
  /** Where pages of the victim's lists begin. */
  cursors: string[];
  /** How much the victim has, may have and has left. */
  figures: string[];
  /** Ids of the victim's links. */
  links: string[];
}

/** No other number in answers is this one, or near it. */
const WEIGHT = 1_618_033;

/** Makes an owner's things, and what an attacker can know of them. */
export async function makeVictim({ url: base, urls }: Reached, owner: Headers): Promise<Victim> {
  const thing = await makeThing(base, owner);
  const second = await putFile(base, `second of ${thing.name}`, { filename: `second-${thing.name}` }, owner);
  await putFile(base, randomBytes(WEIGHT), { filename: `weight-${thing.name}` }, owner);
  const { known, tickets } = await makeLinks(base, owner, thing, [thing.fileId, second.fileId]);
  const loot = { ...thing, trashedMd5: md5(Buffer.from(`trash of ${thing.name}`)), ...known };
  // What an owner has asked by is remembered by each node.
  for (const url of urls) await untilDigested(url, owner, thing);
  const listed = await send('GET', `${base}/api/links?limit=1000`, { headers: owner });
  return {
    loot,
    tickets,
    eventId: await lastEventOf(base, owner),
    cursors: await cursorsOf(base, owner, thing),
    figures: await figuresOf(base, owner),
    links: json<{ links: { id: string }[] }>(listed).links.map(({ id }) => id),
  };
}

/** All digests of the owner's files are there from now on, as those of what is new cannot be, and are told. */
async function untilDigested(base: string, owner: Headers, { md5: digest, sha256, fileId }: Thing): Promise<void> {
  await send('GET', `${base}/check?md5=${digest}&sha256=${sha256}`, { headers: owner });
  await until('all digests are there', async () => {
    const { files } = json<FilePageJson>(await send('GET', `${base}/api/files?limit=1000`, { headers: owner }));
    return files.every((file) => file.sha1 !== undefined && (file.id !== fileId || file.sha256 !== undefined));
  });
}

/** The id that a stream of events begins with: it names the last event of this owner, and stays as long as there is no other. */
async function lastEventOf(base: string, owner: Headers): Promise<string> {
  const { body } = await ask(base, { method: 'GET', path: '/api/events', headers: owner, endless: true });
  const [, id = ''] = /^id: (\S+)$/m.exec(body) ?? [];
  expect(id).not.toBe('');
  return id;
}

async function cursorsOf(base: string, owner: Headers, { requestId }: Thing): Promise<string[]> {
  const lists = [
    ...['uploaded', 'name', 'size'].map((sort) => `files?sort=${sort}`),
    'files?prefix=',
    'files?recursive=true&prefix=',
    'trash?',
    'links?',
    `links/${requestId}/uploads?`,
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

async function figuresOf(base: string, owner: Headers): Promise<string[]> {
  const { bytes, files } = json<QuotaJson>(await send('GET', `${base}/api/quota`, { headers: owner }));
  const { used, limit } = bytes;
  if (limit === null || files.limit === null) throw new Error('the owner has no quota');
  return [used, limit, limit - used, files.limit, files.limit - files.used].map(String);
}
