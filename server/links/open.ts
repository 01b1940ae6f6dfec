/** Links for those who have their secrets: what they may see and download, and passwords. */
import type { Surroundings } from '../../stores/surroundings.ts';
import type { Catalog, LinkedFile, LinkRecord } from '../catalog/catalog.ts';
import type { PackedFile } from '../uploads/contract.ts';
import { TidemarkError } from '../uploads/errors.ts';
import { fileViewOf } from '../uploads/views.ts';
import { fromCommonFolder, joinPath, lastPart } from '../wire/paths.ts';
import {
  type Begun,
  type InFolder,
  type LevelPlace,
  type Links,
  type Offer,
  PASSWORD_TICKET_MS,
  type SharedLevel,
  type Target,
  type Ticket,
} from './contract.ts';
import { LinkError } from './errors.ts';
import type { Passwords } from './passwords.ts';
import { createSending, isUploadLink, type UploadLink } from './sending.ts';
import { hashOfSecret } from './secret-hash.ts';
import type { LinkTickets } from './tickets.ts';
import { openedLinkOf, stateOf } from './views.ts';

/** After so many wrong passwords a link waits: that allows some thousand guesses a day. */
const MOST_ATTEMPTS = 10;
const PAUSE_MS = 15 * 60_000;

interface OpenParts {
  catalog: Catalog;
  surroundings: Surroundings;
  passwords: Passwords;
  tickets: LinkTickets;
  told: <T>(action: () => Promise<T>) => Promise<T>;
}

type OpenLinks = Pick<Links, 'open' | 'openLevel' | 'openFile' | 'openArchive' | 'unlock' | 'sending'>;

/** Creates the part of `Links` that needs a secret. */
export function createOpenLinks(parts: OpenParts): OpenLinks {
  const { catalog, surroundings, tickets, told } = parts;

  /**
   * A link that may be opened with these tickets.
   *
   * @param what - `link`: itself, of either kind; `files`: what it leads to, which an upload link has none of.
   * @param target - what is downloaded; null: nothing yet.
   */
  async function openFor(
    secret: string,
    given: readonly string[],
    what: 'link' | 'files',
    target: Target | null = null,
  ): Promise<LinkRecord> {
    const link = await find(catalog, secret);
    if (what === 'files' && link.kind !== 'download') throw new TidemarkError('not_found');
    const continues = target !== null && tickets.has(given, link, target);
    refuseUnlessUsable(link, continues);
    if (link.password !== null && !continues && !tickets.has(given, link, 'password'))
      throw new LinkError('password_required', { linkId: link.id });
    return link;
  }

  const offer = createOffer(parts);

  return {
    sending: (uploads, secret, given, said) => {
      const ofLink = (isNew: boolean) => told(() => openUploads(parts, secret, given, isNew));
      return createSending({ catalog, surroundings, uploads, find: ofLink }, said);
    },

    open: (secret, given) =>
      told(async () => {
        const link = await openFor(secret, given, 'link');
        const files = await catalog.listLinkFiles(link.id);
        const folders = await catalog.listLinkFolders(link.id);
        return {
          link: openedLinkOf(link),
          files: files.map(({ position, file }) => ({ position, file: fileViewOf(file) })),
          folders: folders.map(({ position, path, ...sum }) => ({ position, name: lastPart(path), ...sum })),
          ticket: link.kind === 'upload' && link.password !== null ? passwordTicket(parts, link) : null,
        };
      }),

    openLevel: (secret, at, page, given) =>
      told(async () => {
        const link = await openFor(secret, given, 'files');
        return { link: openedLinkOf(link), level: await readLevel(catalog, link.id, at, page) };
      }),

    openFile: (secret, at, given) =>
      told(async () => {
        const linked = await find(catalog, secret);
        const file =
          typeof at === 'number'
            ? await catalog.findLinkFile(linked.id, at)
            : await catalog.findLinkedFile(linked.id, at.position, at.path);
        // Of a file in a folder the ticket is about its id: another one may come to its path.
        const target = typeof at === 'number' ? at : { fileId: file?.id ?? '' };
        const link = await openFor(secret, given, 'files', target);
        if (!file) throw new TidemarkError('not_found');
        return { ...offer(link, secret, target, given), file: fileViewOf(file) };
      }),

    openArchive: (secret, given) =>
      told(async () => {
        const link = await openFor(secret, given, 'files', 'archive');
        const files = await catalog.listLinkFiles(link.id);
        const folders = await catalog.listLinkFolders(link.id);
        return {
          ...offer(link, secret, 'archive', given),
          archive: {
            owner: link.owner,
            count: folders.reduce((sum, folder) => sum + folder.files, files.length),
            list: (most) => told(() => listPacked(catalog, link.id, files, most)),
          },
        };
      }),

    unlock: (secret, password) => told(() => unlock(parts, secret, password)),
  };
}

/** See `SharedArchive.list`. By the rows of the folders: another one may have come to the path of one. */
async function listPacked(
  catalog: Catalog,
  linkId: string,
  files: readonly LinkedFile[],
  most: number,
): Promise<PackedFile[]> {
  const names = fromCommonFolder(files.map(({ file }) => file.name));
  return [
    ...(await catalog.listAllLinked(linkId, most)).map(({ path, ...file }) => ({ ...file, name: path })),
    ...files.map(({ file: { id, uploadedAt, content } }, index) => ({
      id,
      name: names[index] ?? '',
      size: content.size,
      uploadedAt,
    })),
  ];
}

/** An upload link. @param isNew - for a new upload. */
async function openUploads(
  { catalog, tickets }: OpenParts,
  secret: string,
  given: readonly string[],
  isNew: boolean,
): Promise<UploadLink> {
  const link = await find(catalog, secret);
  if (!isUploadLink(link)) throw new TidemarkError('not_found');
  if (!isNew) return link;
  if (stateOf(link) === 'expired') throw new LinkError('link_closed', { linkId: link.id });
  if (link.password !== null && !tickets.has(given, link, 'password'))
    throw new LinkError('password_required', { linkId: link.id });
  return link;
}

/** What is offered of a link that may be opened: `begin` counts the download. */
function createOffer({ catalog, tickets, told }: OpenParts) {
  return function offer(link: LinkRecord, secret: string, target: Target, given: readonly string[]): Offer {
    const continues = tickets.has(given, link, target);
    const isLimited = link.mostDownloads !== null;

    async function begin(what: Parameters<Offer['begin']>[0]): Promise<Begun> {
      const isPart = what === 'beginning' || what === 'rest';
      const counts = isLimited ? !(isPart && continues) : what === 'whole' || what === 'beginning';
      if (!counts) return { ticket: null, giveBack: async () => undefined };
      if (!(await catalog.countDownload(link.id))) {
        refuseUnlessUsable(await find(catalog, secret), false);
        throw new LinkError('link_used_up', { linkId: link.id });
      }
      if (isLimited) await catalog.durable();
      const needsLeave = isLimited || link.password !== null;
      return {
        ticket: needsLeave ? tickets.write(link, target) : null,
        giveBack: () => catalog.giveBackDownload(link.id),
      };
    }

    return { link: openedLinkOf(link), begin: (what) => told(() => begin(what)) };
  };
}

/** @throws `not_found`. */
async function readLevel(
  catalog: Catalog,
  linkId: string,
  { position, path }: InFolder,
  page: Parameters<Links['openLevel']>[2],
): Promise<SharedLevel> {
  const level = await catalog.listLinkedLevel({ linkId, position, path, ...page });
  if (!level) throw new TidemarkError('not_found');
  const { root, folders, files, hasMore } = level;
  const name = path === '' ? lastPart(root) : joinPath(lastPart(root), path);
  const [lastFolder, lastFile] = [folders.at(-1), files.at(-1)];
  const last: LevelPlace | undefined = lastFile
    ? { among: 'files', name: lastPart(lastFile.name) }
    : lastFolder && { among: 'folders', name: lastPart(lastFolder.path) };
  return {
    name,
    // Not cut from their whole paths: the folder may be moved between two reads.
    folders: folders.map(({ path: whole, ...sum }) => ({ name: joinPath(name, lastPart(whole)), ...sum })),
    files: files.map((file) => ({ name: joinPath(name, lastPart(file.name)), file: fileViewOf(file) })),
    next: hasMore && last ? last : null,
  };
}

async function unlock(
  { catalog, passwords, tickets }: OpenParts,
  secret: string,
  password: string,
): ReturnType<Links['unlock']> {
  // Of an unknown link at once: whether a secret is one, a look at its page tells as well.
  const link = await find(catalog, secret);
  refuseUnlessUsable(link, false);
  const { id: linkId, password: kept } = link;
  if (kept === null) return { linkId, ticket: null };
  // Without a place: those who try a link that waits do not keep others from theirs.
  if (link.waitMs > 0) throw tooManyAttempts(link);
  return passwords.inPlace(async (matches) => {
    // Counted before it is checked: as many as come at once, on any node, are no more attempts than those.
    if (!(await catalog.countAttempt(linkId, MOST_ATTEMPTS, PAUSE_MS)))
      throw tooManyAttempts(await find(catalog, secret));
    if (!(await matches(password, kept))) throw new LinkError('wrong_password', { linkId });
    await catalog.forgiveAttempts(linkId);
    return { linkId, ticket: passwordTicket({ tickets }, link) };
  });
}

function passwordTicket({ tickets }: Pick<OpenParts, 'tickets'>, link: LinkRecord): Ticket {
  return { text: tickets.write(link, 'password'), lifeMs: PASSWORD_TICKET_MS };
}

function tooManyAttempts({ id, waitMs }: LinkRecord): LinkError {
  return new LinkError('too_many_attempts', { linkId: id, retryAfterMs: Math.max(waitMs, 1000) });
}

/** @throws `not_found`, also for a link that is revoked. */
async function find(catalog: Catalog, secret: string): Promise<LinkRecord> {
  const hash = hashOfSecret(secret);
  const link = hash === undefined ? undefined : await catalog.findLink(hash);
  if (!link || link.revokedAt !== null) throw new TidemarkError('not_found');
  return link;
}

/** @param continues - a download that was counted when it began. */
function refuseUnlessUsable(link: LinkRecord, continues: boolean): void {
  const state = stateOf(link);
  switch (state) {
    case 'active':
      return;
    case 'revoked':
      throw new TidemarkError('not_found');
    case 'expired':
      throw new LinkError('link_expired', { linkId: link.id });
    case 'empty':
      throw new LinkError('link_empty', { linkId: link.id });
    case 'used_up':
      // Who has begun to send files by it continues.
      if (!continues && link.kind === 'download') throw new LinkError('link_used_up', { linkId: link.id });
  }
}
