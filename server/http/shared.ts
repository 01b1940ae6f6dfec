/**
 * Links for those who open them: a page for browsers, JSON for programs, and the bytes. Nobody needs an account.
 * See docs/decisions/0065-download-links.md.
 */
import type Router from '@koa/router';
import type { Config } from '../config/config.ts';
import {
  type Begun,
  DOWNLOAD_TICKET_MS,
  type InFolder,
  type Links,
  type Offer,
  type OpenedLink,
  type OpenedTerms,
  type SharedArchive,
} from '../links/contract.ts';
import { LinkError } from '../links/errors.ts';
import { type Archive, type Archives, type Files, MOST_ARCHIVED } from '../uploads/contract.ts';
import { invalidField, TidemarkError } from '../uploads/errors.ts';
import type { RequestedJson, SharedJson } from '../wire/links.ts';
import { fromCommonFolder } from '../wire/paths.ts';
import { archiveName } from './archive.ts';
import type { ArchiveRoom } from './archive-room.ts';
import { present, presentationHeaders } from './disposition.ts';
import { isoOf } from './links.ts';
import { param, readBody } from './query.ts';
import { refusal } from './refusals.ts';
import { type Begin, selectToSend, sendFile, sendSelected, type ToSend } from './send-file.ts';
import { giveTicket, pathOfLink, ticketsOf } from './shared-cookies.ts';
import { inFolderOf, positionOf, showLevel } from './shared-folders.ts';
import { createSharedPages, type SharedPages, wantsPage } from './shared-pages.ts';
import { encodePath } from './shared-paths.ts';
import { sendBeginning } from './shared-text.ts';
import type { Ctx, Handler, RequestState } from './state.ts';
import type { WebPage } from './web-page.ts';

interface SharedParts {
  config: Config;
  links: Links;
  files: Files;
  archives: Archives;
  room: ArchiveRoom;
  web: WebPage;
  filesOrigin: string | null;
}

/** Adds the routes below `/s/`. */
export function addSharedRoutes(router: Router<RequestState>, parts: SharedParts): void {
  const pages = createSharedPages(parts.filesOrigin);
  const open = opening(pages);

  router.get(
    '/s/:secret',
    open((ctx) => showLink(ctx, parts, pages)),
  );
  router.post(
    '/s/:secret',
    open((ctx) => unlock(ctx, parts.links)),
  );
  router.get(
    '/s/:secret/files/:position',
    open((ctx) => sendShared(ctx, parts, positionOf(ctx))),
  );
  router.get(
    '/s/:secret/files/:position/*path',
    open((ctx) => sendShared(ctx, parts, inFolderOf(ctx))),
  );
  for (const path of ['/s/:secret/folders/:position', '/s/:secret/folders/:position/*path']) {
    router.get(
      path,
      open((ctx) => showLevel(ctx, parts.links, pages)),
    );
  }
  router.get(
    '/s/:secret/archive',
    open((ctx) => sendArchive(ctx, parts)),
  );
}

/** What every answer below `/s/` has; a browser gets refusals as pages. */
function opening(pages: SharedPages): (answer: (ctx: Ctx) => Promise<void>) => Handler {
  return (answer) => async (ctx) => {
    ctx.set('X-Robots-Tag', 'noindex, nofollow');
    ctx.vary('Accept');
    try {
      await answer(ctx);
    } catch (error) {
      // The head of an answer may have got a ticket that is not given after all.
      ctx.remove('Set-Cookie');
      if (error instanceof LinkError && error.linkId !== undefined) ctx.state.linkId = error.linkId;
      if (!wantsPage(ctx)) throw error;
      pages.sendRefusal(ctx, error);
    }
  };
}

function secretOf(ctx: Ctx): string {
  return ctx.params['secret'] ?? '';
}

async function showLink(ctx: Ctx, { links, web }: SharedParts, pages: SharedPages): Promise<void> {
  const { link, files, folders, ticket } = await links.open(secretOf(ctx), ticketsOf(ctx));
  ctx.state.linkId = link.id;
  if (ticket) giveTicket(ctx, ticket.text, { path: pathOfLink(ctx), lifeMs: ticket.lifeMs });
  const base = ctx.state.baseUrl + pathOfLink(ctx);
  if (link.upload) {
    showRequest(ctx, { link, terms: link.upload }, web, pages);
    return;
  }
  // The folders in which the owner keeps them are nobody else's business.
  const names = fromCommonFolder(files.map(({ file }) => file.name));
  const shared: SharedJson = {
    name: link.name,
    expiresAt: isoOf(link.expiresAt),
    downloadsLeft: link.downloadsLeft,
    size:
      files.reduce((sum, { file }) => sum + file.content.size, 0) + folders.reduce((sum, { bytes }) => sum + bytes, 0),
    files: files.map(({ position, file: { type, content } }, index) => ({
      position,
      name: names[index] ?? '',
      size: content.size,
      md5: content.md5,
      type,
      url: `${base}/files/${position}`,
    })),
    folders: folders.map((folder) => ({ ...folder, url: `${base}/folders/${folder.position}` })),
    archiveUrl: `${base}/archive`,
  };
  ctx.set('Cache-Control', 'no-store');
  if (wantsPage(ctx)) pages.sendLink(ctx, shared);
  else ctx.body = shared;
}

/** What an upload link takes. */
function showRequest(
  ctx: Ctx,
  { link: { name, expiresAt }, terms }: { link: OpenedLink; terms: OpenedTerms },
  web: WebPage,
  pages: SharedPages,
): void {
  const { bytesLeft, filesLeft, mostFileBytes, types } = terms;
  const requested: RequestedJson = {
    kind: 'upload',
    name,
    expiresAt: isoOf(expiresAt),
    bytesLeft,
    filesLeft,
    maxFileBytes: mostFileBytes,
    types: types && [...types],
    uploadUrl: `${ctx.state.baseUrl}${pathOfLink(ctx)}/uploads`,
  };
  ctx.set('Cache-Control', 'no-store');
  // Where the page is not built, the one without a script says how else files are sent.
  if (!wantsPage(ctx)) ctx.body = requested;
  else if (!web.sendSenders(ctx, pathOfLink(ctx))) pages.sendRequest(ctx, requested);
}

/** Takes a password, as browsers send a form, and leads back to the page. */
async function unlock(ctx: Ctx, links: Links): Promise<void> {
  const lang = param(ctx, 'lang');
  if (typeof ctx.request.is('urlencoded') !== 'string') {
    throw refusal('unsupported_media_type', {
      field: 'Content-Type',
      message: 'Content-Type must be application/x-www-form-urlencoded.',
    });
  }
  // Not from the query, which proxies log.
  const given = new URLSearchParams(await readBody(ctx.req)).get('password');
  if (given === null) throw invalidField('password', 'password is required, in the body.');
  const { linkId, ticket } = await links.unlock(secretOf(ctx), given);
  ctx.state.linkId = linkId;
  const path = pathOfLink(ctx);
  if (ticket) giveTicket(ctx, ticket.text, { path, lifeMs: ticket.lifeMs });
  ctx.set('Cache-Control', 'no-store');
  const query = lang === undefined ? '' : `?lang=${encodeURIComponent(lang)}`;
  ctx.status = 303;
  ctx.set('Location', new URL(ctx.state.baseUrl).pathname.replace(/\/$/, '') + path + query);
  ctx.body = '';
}

/** @param at - a position of a file; or where in a folder it is. */
async function sendShared(ctx: Ctx, { links, files }: SharedParts, at: number | InFolder): Promise<void> {
  const { file, ...offer } = await links.openFile(secretOf(ctx), at, ticketsOf(ctx));
  ctx.state.linkId = offer.link.id;
  const isLook = param(ctx, 'preview') !== undefined;
  const path =
    typeof at === 'number'
      ? `${pathOfLink(ctx)}/files/${at}`
      : `${pathOfLink(ctx)}/files/${at.position}/${encodePath(at.path)}`;
  const begin = beginning(ctx, offer, { isLook, path });
  if (isLook && param(ctx, 'preview') === 'text') await sendBeginning(ctx, files, file, begin);
  else await sendFile(ctx, files, file, { save: param(ctx, 'download') !== undefined, shared: false, begin });
}

async function sendArchive(ctx: Ctx, { links, archives, room }: SharedParts): Promise<void> {
  const { archive: shared, ...offer } = await links.openArchive(secretOf(ctx), ticketsOf(ctx));
  ctx.state.linkId = offer.link.id;
  await room.hold(shared.count, async () => {
    const archive = await prepareShared(shared, archives);
    const etag = `"${archive.version}"`;
    ctx.set({
      ...presentationHeaders(present(nameOf(offer.link), 'application/zip', true)),
      'Cache-Control': 'private, no-cache',
      'Accept-Ranges': 'bytes',
      ETag: etag,
    });
    const selection = selectToSend(ctx, { etag, size: archive.size });
    const begin = beginning(ctx, offer, { isLook: false, path: `${pathOfLink(ctx)}/archive` });
    if (selection) await sendSelected(ctx, archive.size, selection, async (range) => archive.open(range), begin);
  });
}

async function prepareShared(shared: SharedArchive, archives: Archives): Promise<Archive> {
  try {
    return await archives.prepareShared(await shared.list(MOST_ARCHIVED + 1), shared.owner);
  } catch (error) {
    // It names files by the ids that their owner knows.
    if (error instanceof TidemarkError && error.code === 'invalid_field')
      throw refusal('invalid_request', { message: 'The link has too many files for one archive.' });
    throw error;
  }
}

function nameOf({ name }: OpenedLink): string {
  return archiveName(name?.replaceAll(/[/\\]/g, '_'));
}

/** Counts the download once its first byte can be sent, and gives the client a ticket with which it can continue it. */
function beginning(ctx: Ctx, offer: Offer, { isLook, path }: { isLook: boolean; path: string }): Begin {
  return async (selection) => {
    const begun: Begun = await offer.begin(isLook ? 'look' : whatOf(selection));
    if (begun.ticket !== null) giveTicket(ctx, begun.ticket, { path, lifeMs: DOWNLOAD_TICKET_MS });
    return () => begun.giveBack();
  };
}

function whatOf(selection: ToSend): 'whole' | 'beginning' | 'rest' {
  if (selection.kind === 'whole') return 'whole';
  return selection.range.start === 0 ? 'beginning' : 'rest';
}
