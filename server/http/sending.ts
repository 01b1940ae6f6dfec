/**
 * Upload links for upload protocols: the link's address is where uploads are created, and below it they have theirs. A request is
 * answered by the endpoint of its protocol, which sees the uploads of this link alone. See docs/decisions/0070-upload-links.md.
 */
import type Router from '@koa/router';
import type { Links, SaidBySender, Sending } from '../links/contract.ts';
import { LinkError } from '../links/errors.ts';
import type { Uploads } from '../uploads/contract.ts';
import { invalidField, type TidemarkError } from '../uploads/errors.ts';
import type { Writer } from '../uploads/writer.ts';
import { UPLOADS_OF_LINK } from '../wire/addresses.ts';
import { hasUnfitCharacters } from '../wire/labels.ts';
import type { SentJson } from '../wire/links.ts';
import { param } from './query.ts';
import { toRefusal } from './refusals.ts';
import { notServedHere } from './routers.ts';
import { ticketsOf } from './shared-cookies.ts';
import type { Ctx, Handler, RequestState } from './state.ts';

/** The most characters that a sender may say of themselves. */
const MOST_NAME = 255;
const MOST_NOTE = 2_000;

interface SendingParts {
  links: Links;
  uploads: Uploads;
  protocolOf: (request: { method: string; path: string; headers: Ctx['req']['headers'] }) => Handler | undefined;
  tusVersion: string;
  closing: () => TidemarkError | undefined;
}

/** Passes requests of upload protocols by links to their endpoints. @param isServed - false: another process does. */
export function sendingMount(parts: SendingParts, isServed: boolean): Handler {
  return async (ctx, next) => {
    const [, secret = '', below, id] = UPLOADS_OF_LINK.exec(ctx.path) ?? [];
    const path = id === undefined ? '/uploads' : `/uploads/${id}`;
    const isPage = below === undefined;
    const answer = secret === '' ? undefined : answerFor(ctx, parts, { path, isPage });
    if (!answer) {
      await next();
      return;
    }
    if (!isServed && isPage && ctx.method === 'OPTIONS') {
      ctx.status = 204;
      return;
    }
    if (!isServed) throw notServedHere();
    const reason = parts.closing();
    if (reason && ctx.method === 'POST') throw reason;
    if (ctx.req.headers['upload-concat'] !== undefined)
      throw invalidField('Upload-Concat', 'Upload-Concat cannot be used with a link: send each file as one upload.');
    ctx.set('Tus-Resumable', parts.tusVersion);
    ctx.set('X-Robots-Tag', 'noindex, nofollow');
    ctx.state.sending = sendingOf(ctx, parts, secret);
    await asUploads(ctx, { path, base: `${ctx.state.baseUrl}/s/${secret}` }, () => answer(ctx, async () => undefined));
    // Parts are not sent by links.
    const extensions = ctx.res.getHeader('Tus-Extension');
    if (typeof extensions === 'string')
      ctx.set('Tus-Extension', extensions.replaceAll(/,?concatenation(?:-unfinished)?/g, ''));
  };
}

/** Adds what a sender asks of an upload without a protocol. */
export function addSentRoutes(router: Router<RequestState>, parts: Pick<SendingParts, 'links' | 'uploads'>): void {
  router.get('/s/:secret/uploads/:id', async (ctx) => {
    const id = ctx.params['id'] ?? '';
    const { uploads, fileOf } = sendingOf(ctx, parts, ctx.params['secret'] ?? '');
    const upload = await uploads.view(id, '');
    const file = upload.state === 'complete' ? await fileOf(id) : null;
    ctx.state.uploadId = id;
    ctx.set('Cache-Control', 'no-store');
    ctx.set('X-Robots-Tag', 'noindex, nofollow');
    ctx.body = {
      state: file ? 'complete' : 'receiving',
      name: upload.filename,
      size: file?.content.size ?? upload.size,
      offset: upload.offset,
      md5: file?.content.md5 ?? null,
    } satisfies SentJson;
  });
}

/** The endpoint for a request; at the link itself only for a new upload, as it is also the address of a page. */
function answerFor(
  { method, req }: Ctx,
  { protocolOf }: SendingParts,
  { path, isPage }: { path: string; isPage: boolean },
): Handler | undefined {
  if (isPage && method !== 'OPTIONS') {
    const isMarked = ['tus-resumable', 'upload-complete', 'upload-incomplete', 'upload-draft-interop-version'].some(
      (name) => req.headers[name] !== undefined,
    );
    if (method !== 'POST' || !isMarked) return undefined;
  }
  return protocolOf({ method, path, headers: req.headers });
}

/** Lets an endpoint answer as below /uploads: by what it makes of the base, its addresses are the link's. */
async function asUploads(
  ctx: Ctx,
  { path, base }: { path: string; base: string },
  answer: () => Promise<void>,
): Promise<void> {
  const before = { path: ctx.path, baseUrl: ctx.state.baseUrl };
  ctx.path = path;
  ctx.state.baseUrl = base;
  try {
    await answer();
  } finally {
    ctx.path = before.path;
    ctx.state.baseUrl = before.baseUrl;
  }
}

function sendingOf(ctx: Ctx, { links, uploads }: Pick<SendingParts, 'links' | 'uploads'>, secret: string): Sending {
  // Told once, when an upload begins.
  const said = ctx.method === 'POST' || ctx.method === 'PUT' ? readSaid(ctx) : { sender: null, note: null };
  const sending = links.sending(uploads, secret, ticketsOf(ctx), said);

  /** The endpoints know the domain's errors: those of links come to them as refusals. */
  async function refusing<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      if (error.linkId !== undefined) ctx.state.linkId = error.linkId;
      throw toRefusal(error);
    }
  }

  return { uploads: withRefusals(sending.uploads, refusing), fileOf: (id) => refusing(() => sending.fileOf(id)) };
}

/** What the sender says: in the metadata of tus, or in the query. */
function readSaid(ctx: Ctx): SaidBySender {
  const metadata = metadataOf(ctx.get('Upload-Metadata'));
  return {
    sender: cleanText(metadata('sender') ?? param(ctx, 'sender'), MOST_NAME),
    note: cleanText(metadata('note') ?? param(ctx, 'note'), MOST_NOTE),
  };
}

function metadataOf(header: string): (key: string) => string | undefined {
  const pairs = header.split(',').map((pair) => pair.trim().split(' '));
  return (wanted) => {
    const value = pairs.find(([key]) => key === wanted)?.[1];
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8');
  };
}

/** Bytes are never refused for a label: what cannot be kept of it is left out. */
function cleanText(given: string | undefined, mostCharacters: number): string | null {
  const text = Array.from(given ?? '', (sign) => (hasUnfitCharacters(sign) ? ' ' : sign))
    .slice(0, mostCharacters)
    .join('')
    .trim();
  return text === '' ? null : text;
}

type Refusing = <T>(action: () => Promise<T>) => Promise<T>;

function withRefusals(uploads: Uploads, refusing: Refusing): Uploads {
  const writing = async (open: () => Promise<Writer>): Promise<Writer> =>
    refusingWriter(await refusing(open), refusing);
  return {
    ...uploads,
    begin: (request) => refusing(() => uploads.begin(request)),
    beginWriting: (request) => writing(() => uploads.beginWriting(request)),
    view: (id, owner, options) => refusing(() => uploads.view(id, owner, options)),
    current: (id, owner) => refusing(() => uploads.current(id, owner)),
    fence: (id, owner, signal) => refusing(() => uploads.fence(id, owner, signal)),
    open: (id, owner, options) => writing(() => uploads.open(id, owner, options)),
    end: (id, owner, signal) => refusing(() => uploads.end(id, owner, signal)),
  };
}

function refusingWriter(writer: Writer, refusing: Refusing): Writer {
  return {
    ...writer,
    append: (source, options) => refusing(() => writer.append(source, options)),
    declareLength: (size) => refusing(() => writer.declareLength(size)),
    expectLength: (size) => refusing(() => writer.expectLength(size)),
    finish: () => refusing(() => writer.finish()),
    remove: () => refusing(() => writer.remove()),
  };
}
