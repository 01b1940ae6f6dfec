/**
 * Upload links for those who send files by them: the uploads of one sender, with the contract of all uploads. They belong to the
 * link's owner, of whom a sender learns nothing: an upload is found by its unguessable id, by requests of the same link alone, and
 * what is told of it is what its sender has said. See docs/decisions/0070-upload-links.md.
 */
import type { Surroundings } from '../../stores/surroundings.ts';
import type { Catalog, LinkRecord, UploadRecord } from '../catalog/catalog.ts';
import { MOST_SENT_BYTES } from '../catalog/sent-uploads.ts';
import type { BeginRequest, FileView, OpenOptions, Published, Uploads, UploadView } from '../uploads/contract.ts';
import { hasCode, invalidField, TidemarkError } from '../uploads/errors.ts';
import type { AppendOptions } from '../uploads/receive.ts';
import { typeOfName } from '../uploads/names.ts';
import { linkSignals } from '../uploads/signals.ts';
import { translated } from '../uploads/translate.ts';
import { fileViewOf } from '../uploads/views.ts';
import type { Writer } from '../uploads/writer.ts';
import type { SaidBySender, Sending } from './contract.ts';
import { LinkError } from './errors.ts';
import { declarationBelow, fileTooLarge, nameBelow, refuseTooLarge, refuseUnlessTaken } from './terms.ts';

/** How often a running request looks whether its link was revoked, ended early or extended. */
const LOOK_EVERY_MS = 5_000;

export interface SendingParts {
  catalog: Catalog;
  surroundings: Surroundings;
  uploads: Uploads;
  /** The link, which may be expired; for a new upload, one that may be used with these tickets. @throws as `Links.open`. */
  find: (isNew: boolean) => Promise<UploadLink>;
}

/** The terms of an upload link, and what it has taken. */
type Terms = NonNullable<LinkRecord['upload']>;

export interface UploadLink extends LinkRecord {
  upload: Terms;
}

export function isUploadLink(link: LinkRecord): link is UploadLink {
  return link.upload !== null;
}

/** The uploads of a sender for one request. */
export function createSending(parts: SendingParts, said: SaidBySender): Sending {
  const { catalog, uploads, find } = parts;

  /** A row that this link has, for requests of the same link alone. @throws `not_found`. */
  async function own(id: string): Promise<{ link: UploadLink; row: UploadRecord }> {
    const link = await find(false);
    const row = await translated(() => catalog.findUpload(id));
    if (row?.linkId !== link.id) throw new TidemarkError('not_found');
    return { link, row };
  }

  /** As `own`, for a request that brings bytes. @throws LinkError `link_closed`. */
  async function ownToWrite(id: string): Promise<{ link: UploadLink; row: UploadRecord }> {
    const found = await own(id);
    if (isExpired(found.link)) throw closed(found.link.id);
    return found;
  }

  const beginning = createBeginning(parts, said);

  async function open(id: string, options: OpenOptions): Promise<Writer> {
    const { link } = await (options.offset === undefined ? own(id) : ownToWrite(id));
    return writerOf(parts, link, await uploads.open(id, link.owner, options));
  }

  async function viewed(id: string, look: (owner: string) => Promise<UploadView>): Promise<UploadView> {
    const { link } = await own(id);
    return shownTo(link, await look(link.owner));
  }

  async function end(id: string, signal: AbortSignal): Promise<void> {
    const { link } = await own(id);
    const writer = await uploads.open(id, link.owner, { signal });
    try {
      if (writer.upload.state !== 'receiving') throw sentAlready(link.id);
      await writer.end();
    } finally {
      await writer.release();
    }
  }

  return {
    uploads: {
      begin: (request) => beginning(request, async (link, owners) => shownTo(link, await uploads.begin(owners))),
      beginWriting: (request) =>
        beginning(request, async (link, owners) => writerOf(parts, link, await uploads.beginWriting(owners))),
      // Both are short cuts past the counting, which a sender does without.
      createAtOnce: async () => undefined,
      completeAtOnce: async () => undefined,
      beginFinal: async () => {
        throw noParts();
      },
      receiveWhole: async () => {
        throw new TidemarkError('not_found');
      },
      view: (id, _owner, options) => viewed(id, (owner) => uploads.view(id, owner, options)),
      current: (id) => viewed(id, (owner) => uploads.current(id, owner)),
      fence: (id, _owner, signal) => viewed(id, (owner) => uploads.fence(id, owner, signal)),
      open: (id, _owner, options) => open(id, options),
      end: (id, _owner, signal) => end(id, signal),
      markConnection: () => uploads.markConnection(),
      markComing: (id) => uploads.markComing(id),
    },

    fileOf: async (uploadId) => {
      const { link, row } = await own(uploadId);
      const { fileId } = row;
      const file = fileId === null ? undefined : await translated(() => catalog.findFile(fileId, link.owner));
      if (!file) throw new TidemarkError('not_found');
      return fileFor(link, row, fileViewOf(file));
    },
  };
}

/** Prepares the beginning of uploads: what a sender declares, as it is recorded for the link's owner. */
function createBeginning(parts: SendingParts, said: SaidBySender) {
  return async function beginning<T>(
    request: BeginRequest,
    begin: (link: UploadLink, owners: BeginRequest) => Promise<T>,
  ): Promise<T> {
    if (request.kind === 'partial') throw noParts();
    const link = await parts.find(true);
    const { owner, id: linkId } = link;
    const declaration = declarationBelow(link.upload, request.declaration, request.id);
    refuseUnlessTaken(link.upload, declaration, linkId);
    try {
      return await begin(link, { id: request.id, owner, declaration, sent: { linkId, ...said } });
    } catch (error) {
      throw await whyRefused(parts, link, { isNew: true, size: declaration.size }, error);
    }
  };
}

/** The writer of a sender's upload: it takes no more than the link does. */
function writerOf(parts: SendingParts, link: UploadLink, writer: Writer): Writer {
  const row = { id: writer.upload.id, filename: writer.upload.filename };
  /** The length that the link's row counts; null: none. */
  let declared = writer.upload.size ?? writer.upload.expectedSize;

  async function counted<T>(size: number | null, change: () => Promise<T>): Promise<T> {
    if (size !== null) refuseTooLarge(link.upload, size, link.id);
    try {
      return await change();
    } catch (error) {
      throw await whyRefused(parts, link, { isNew: false, size }, error);
    }
  }

  return {
    ...writer,
    upload: shownTo(link, writer.upload),
    append: async (source, options) => {
      const known = options.length ?? declared;
      const received = await whileOpen(parts, { ...options, isCounted: known !== null }, (now, signal) =>
        counted(options.length ?? null, () => appendWithin(writer, now, source, { ...options, signal }, known)),
      );
      return { ...received, file: received.file && fileFor(link, row, received.file) };
    },
    declareLength: (size) => counted(size, () => writer.declareLength(size)),
    expectLength: async (size) => {
      await counted(size, () => writer.expectLength(size));
      declared = size;
    },
    finish: async (): Promise<Published> => {
      const { file } = await writer.finish();
      return { file: fileFor(link, row, file), wasHere: false };
    },
    remove: async () => {
      if (writer.upload.state === 'complete') throw sentAlready(link.id);
      await writer.end();
    },
  };
}

/** Appends no more than the link has left. @param declared - the upload's length, as far as it is known. @throws LinkError with the figure, once the source has more. */
async function appendWithin(
  writer: Writer,
  { id, upload: terms }: UploadLink,
  source: Parameters<Writer['append']>[0],
  options: AppendOptions,
  declared: number | null,
): ReturnType<Writer['append']> {
  const { offset } = writer.upload;
  // What is declared is counted already, and so is what has arrived of a body of unknown length.
  const left = declared === null ? leftOf(terms) : Infinity;
  const leftOfFile = (terms.mostFileBytes ?? Infinity) - offset;
  const most = Math.min(left, leftOfFile);
  if (most >= options.maxBytes) return writer.append(source, options);
  try {
    return await writer.append(source, { ...options, maxBytes: Math.max(0, most) });
  } catch (error) {
    if (!hasCode(error, 'too_large')) throw error;
    if (terms.mostFileBytes !== null && leftOfFile <= left) throw fileTooLarge(terms.mostFileBytes, id);
    throw noBytesLeft(terms, id);
  }
}

/**
 * Runs while the link takes files: ends it once that is revoked, or has expired; or once bodies of unknown length that come at the
 * same time have brought more than the link takes. @param given - `isCounted`: the length of this one is known.
 */
async function whileOpen<T>(
  { find, surroundings }: SendingParts,
  { signal: given, isCounted }: Pick<AppendOptions, 'signal'> & { isCounted: boolean },
  run: (link: UploadLink, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const link = await find(false);
  if (isExpired(link)) throw closed(link.id);
  const ended = new AbortController();
  const isOver = new AbortController();
  const { signal, unlink } = linkSignals(ended.signal, ...(given ? [given] : []));

  function refuseIfOver(now: UploadLink): void {
    if (isExpired(now)) throw closed(now.id);
    const { mostBytes, sentBytes } = now.upload;
    if (!isCounted && mostBytes !== null && sentBytes > mostBytes) throw noBytesLeft(now.upload, now.id);
  }

  async function watch(): Promise<void> {
    let waitMs = Math.min(LOOK_EVERY_MS, link.leftMs ?? Infinity);
    for (;;) {
      await surroundings.wait(Math.max(1, waitMs), { signal: isOver.signal, ref: false });
      waitMs = LOOK_EVERY_MS;
      try {
        const now = await find(false);
        refuseIfOver(now);
        waitMs = Math.min(waitMs, now.leftMs ?? Infinity);
      } catch (error) {
        // A catalog that cannot be asked is asked again; whether the transfer can do without it, its commits will tell.
        if (error instanceof LinkError || hasCode(error, 'not_found')) throw error;
      }
    }
  }

  // Rejects with why the link takes no more, or once the transfer is over.
  watch().catch((error: unknown) => ended.abort(error));
  try {
    return await run(link, signal);
  } finally {
    unlink();
    isOver.abort();
  }
}

/** How many bytes a link has left. */
function leftOf({ mostBytes, sentBytes }: Terms): number {
  return Math.max(0, mostOf({ mostBytes }) - sentBytes);
}

function mostOf({ mostBytes }: Pick<Terms, 'mostBytes'>): number {
  return mostBytes ?? MOST_SENT_BYTES;
}

/**
 * Says which limit of the link it is that an upload has met.
 *
 * @param upload - `isNew`: it has not begun, else it is its length that does not fit; `size`: that, as far as it is known.
 */
async function whyRefused(
  { catalog }: SendingParts,
  { id, owner }: UploadLink,
  { isNew, size }: { isNew: boolean; size: number | null },
  error: unknown,
): Promise<unknown> {
  // What the owner has is not told.
  if (hasCode(error, 'over_quota')) return new TidemarkError('over_quota', { cause: error });
  if (!hasCode(error, 'quota_reached')) return error;
  const link = await translated(() => catalog.findOwnLink(id, owner));
  if (!link?.upload || link.revokedAt !== null) return new TidemarkError('not_found');
  if (isExpired(link)) return closed(id);
  if (!isNew) return noBytesLeft(link.upload, id);
  const { mostFiles, sentFiles, sentBytes } = link.upload;
  if (mostFiles !== null && sentFiles >= mostFiles) {
    const message = `This link takes ${mostFiles} ${mostFiles === 1 ? 'file' : 'files'}, and has been sent that many.`;
    return new LinkError('link_files_used', { linkId: id, message });
  }
  if (sentBytes + (size ?? 1) > mostOf(link.upload)) return noBytesLeft(link.upload, id);
  return new TidemarkError('too_many_uploads', {
    message: 'There are too many unfinished uploads by this link; finish or end some of them first.',
    retryAfterMs: LOOK_EVERY_MS,
  });
}

function noBytesLeft(terms: Terms, linkId: string): LinkError {
  return new LinkError('link_bytes_used', {
    linkId,
    field: 'size',
    message: `This link takes ${mostOf(terms)} bytes in all, and ${leftOf(terms)} of them are left.`,
  });
}

function isExpired({ leftMs }: Pick<LinkRecord, 'leftMs'>): boolean {
  return leftMs !== null && leftMs <= 0;
}

function closed(linkId: string): LinkError {
  return new LinkError('link_closed', { linkId });
}

function sentAlready(linkId: string): LinkError {
  return new LinkError('link_sent', { linkId });
}

function noParts(): TidemarkError {
  return invalidField('kind', 'A file is sent by a link as one upload, not in parts.');
}

/** An upload as its sender knows it. The id of the upload stands for the file that it became. */
function shownTo({ upload: terms }: UploadLink, view: UploadView): UploadView {
  const fileId = view.fileId === null ? null : view.id;
  return Object.freeze({ ...view, filename: nameBelow(terms, view.filename), fileId });
}

/** The file that an upload became, as its sender knows it: under the name that they have given it, whatever name it got. */
function fileFor(
  { upload: terms }: UploadLink,
  { id, filename }: Pick<UploadRecord, 'id' | 'filename'>,
  { uploadedAt, content }: FileView,
): FileView {
  const { md5, size, publishedAt } = content;
  const shown = { md5, size, publishedAt, sha1: null, sha256: null, variant: 0 };
  const name = nameBelow(terms, filename) ?? md5;
  return Object.freeze({ id, name, type: typeOfName(name), uploadedAt, content: Object.freeze(shown) });
}
