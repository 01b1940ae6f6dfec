/** What `Links` promises: of the owner's side here, of that of the others in open.ts. */
import type { Surroundings } from '../../stores/surroundings.ts';
import type { Catalog, LinkRecord, NewLink } from '../catalog/catalog.ts';
import { invalidField, TidemarkError } from '../uploads/errors.ts';
import { checkCharacters, checkName } from '../uploads/names.ts';
import { translated } from '../uploads/translate.ts';
import { MAX_NAME_CHARACTERS } from '../wire/labels.ts';
import {
  LEAST_PASSWORD,
  type LinkRequest,
  type Links,
  type LinkUpdate,
  MOST_LINKED,
  MOST_LINKS,
  MOST_PASSWORD,
} from './contract.ts';
import { endSent } from './end-sent.ts';
import { LinkError } from './errors.ts';
import { createOpenLinks } from './open.ts';
import { createPasswords, type Passwords } from './passwords.ts';
import { hashOfSecret, SECRET_BYTES } from './secret-hash.ts';
import { checkTerms } from './terms.ts';
import { createLinkTickets } from './tickets.ts';
import { linkViewOf } from './views.ts';

export interface LinkParts {
  catalog: Catalog;
  surroundings: Surroundings;
  /** By default MOST_LINKS. */
  mostLinks?: number;
}

/** Creates the links of a service. @param secret - of the catalog, by which tickets are signed on all nodes. */
export function createLinks(parts: LinkParts, secret: string): Links {
  const { catalog, surroundings, mostLinks = MOST_LINKS } = parts;
  const passwords = createPasswords(surroundings);
  const tickets = createLinkTickets(secret, catalog.clock);

  /** No answer tells what a power cut could undo. */
  async function told<T>(action: () => Promise<T>): Promise<T> {
    return translated(async () => {
      try {
        return await action();
      } finally {
        await catalog.durable();
      }
    });
  }

  async function change(id: string, owner: string, update: Parameters<Links['change']>[2]): Promise<LinkRecord> {
    if (update.name !== undefined && update.name !== null) checkTitle(update.name);
    await refuseOtherKind(id, owner, update);
    const changed = await catalog.changeLink(id, owner, update, mostLinks);
    if (changed === 'too_many') throw new LinkError('too_many_links');
    return there(changed);
  }

  /** What a link of the other kind does not have cannot be changed. */
  async function refuseOtherKind(id: string, owner: string, { limits, mostDownloads }: LinkUpdate): Promise<void> {
    if (limits === undefined && mostDownloads === undefined) return;
    const kind = there(await catalog.findOwnLink(id, owner)).kind;
    if (kind === 'download' && limits !== undefined)
      throw invalidField('maxBytes', 'maxBytes, maxFiles and maxFileBytes are limits of a link for uploads.');
    if (kind === 'upload' && mostDownloads !== undefined)
      throw invalidField('downloads', 'downloads is the limit of a link for downloads.');
  }

  async function revoke(id: string, owner: string): Promise<void> {
    if (!(await catalog.revokeLink(id, owner))) throw new TidemarkError('not_found');
  }

  return {
    create: (request) => told(() => create(parts, passwords, request)),
    list: (query) =>
      told(async () => {
        const { links, nextCursor } = await catalog.listLinks(query);
        return { links: links.map(linkViewOf), nextCursor };
      }),
    change: (id, owner, update) => told(async () => linkViewOf(await change(id, owner, update))),
    revoke: (id, owner) => told(() => revoke(id, owner)),
    ...createOpenLinks({ catalog, surroundings, passwords, tickets, told }),
    endSent: (id, uploads, signal) => endSent(catalog, id, uploads, signal),
    sendersOf: (fileIds) =>
      told(async () => new Map((await catalog.findSenders(fileIds)).map(({ fileId, ...sent }) => [fileId, sent]))),

    listSent: (id, owner, page) =>
      told(async () => {
        if (!(await catalog.findOwnLink(id, owner))?.upload) throw new TidemarkError('not_found');
        return catalog.listSent({ linkId: id, ...page });
      }),
  };
}

async function create(
  { catalog, surroundings, mostLinks = MOST_LINKS }: LinkParts,
  passwords: Passwords,
  { files, folders: given, password, name, owner, lifeMs, mostDownloads, upload }: LinkRequest,
): ReturnType<Links['create']> {
  const fileIds = [...new Set(files)];
  const folders = [...new Set(given)];
  const terms = upload && checkTerms(upload);
  if (!terms && fileIds.length + folders.length === 0)
    throw invalidField('files', 'files must name at least one file, by its id; or folders a folder, by its path.');
  if (fileIds.length + folders.length > MOST_LINKED)
    throw invalidField('files', `files and folders must name at most ${MOST_LINKED} together.`);
  for (const folder of folders) checkName(folder, 'folders');
  if (name !== null) checkTitle(name);
  if (password !== null) checkPassword(password);
  const secret = Buffer.from(surroundings.randomHex(SECRET_BYTES), 'hex').toString('base64url');
  const link: NewLink = {
    id: surroundings.newId(),
    owner,
    kind: terms ? 'upload' : 'download',
    secretHash: hashOfSecret(secret) as string,
    name,
    lifeMs,
    password: password === null ? null : await passwords.hash(password),
    mostDownloads,
    fileIds,
    folders,
    ...(terms ? { upload: terms } : {}),
  };
  const recorded = await catalog.createLink(link, mostLinks);
  if (recorded === 'too_many') throw new LinkError('too_many_links');
  if ('link' in recorded) return { link: linkViewOf(recorded.link), secret };
  if ('missingFolder' in recorded)
    throw new TidemarkError('not_found', { field: 'folders', message: 'There is no folder at that path.' });
  // An id of somebody else's file gets the same answer as one of none.
  const shown = /^[0-9a-f-]{1,64}$/i.test(recorded.missing) ? ` ${recorded.missing}` : '';
  throw new TidemarkError('not_found', { field: 'files', message: `There is no file with the id${shown}.` });
}

function there(link: LinkRecord | undefined): LinkRecord {
  if (!link) throw new TidemarkError('not_found');
  return link;
}

/** The name of a link is a text for people, not one of a file. */
function checkTitle(name: string): void {
  if (name === '') throw invalidField('name', 'name must not be empty; leave it out for a link without a name.');
  checkCharacters(name, 'name');
  if (Array.from(name).length > MAX_NAME_CHARACTERS)
    throw invalidField('name', `name must be at most ${MAX_NAME_CHARACTERS} characters long.`);
}

function checkPassword(password: string): void {
  const length = Array.from(password).length;
  if (length < LEAST_PASSWORD || length > MOST_PASSWORD) {
    throw invalidField('password', `password must be ${LEAST_PASSWORD} to ${MOST_PASSWORD} characters long.`);
  }
}
