/** Compares the published file with what was sent, before success is reported. */
import type { FileJson } from '../../server/wire/files.ts';
import { lastPart, splitExtension } from '../../server/wire/paths.ts';
import { keptName } from '../core/naming.ts';
import { type Bytes, compare, judge, type Way } from '../core/proof.ts';
import { CliError, TransportError, nullWhenGone } from './errors.ts';
import type { Context } from './context.ts';
import { ask } from './context.ts';
import type { Answer } from './http.ts';
import { beginningOf } from './searched-name.ts';
import type { TransferResult } from './transfer.ts';

/**
 * How often to ask for the published file. The service publishes at once after the last byte; if it restarts in between, the
 * next HEAD makes it publish.
 */
const NOT_PUBLISHED_ATTEMPTS = 8;
/** How many files one request lists: the file is nearly always among the newest. */
const PAGE = 100;

export interface Expected extends Bytes, Way {
  name: string;
}

/**
 * Finds the published file, and compares its digests and size with those of the bytes that were sent.
 *
 * @returns the file, if they are equal.
 * @throws CliError `not_published`, `digest_differs`.
 */
export async function verifyPublished(
  context: Context,
  sent: Pick<TransferResult, 'fileId' | 'uploadUrl'>,
  expected: Expected,
): Promise<FileJson> {
  const { service, signal } = context;
  const { md5, sha256, size, name } = expected;
  let { fileId } = sent;

  async function lookUp(): Promise<FileJson | null> {
    // The HEAD makes the service finish an upload that a restart left unfinished.
    fileId ??= sent.uploadUrl === null ? null : fileIdOf(await lookAtUpload(context, sent.uploadUrl, size));
    if (fileId !== null) {
      const file = await findFile(context, fileId);
      if (file) return file;
      fileId = null;
    }
    return findByContent(context, expected);
  }

  const file = await ask(context, name, async (attempt) => {
    const found = await lookUp();
    if (found) return found;
    if (attempt >= NOT_PUBLISHED_ATTEMPTS) {
      throw new CliError('not_published', 'all bytes were sent, but the service has not published the file');
    }
    throw new TransportError('not_published_yet', 'the file is not published yet');
  });
  const compared = await compare(file, { md5, sha256, size }, expected, {
    check: (bytes) => ask(context, name, () => service.check(bytes, signal)),
    file: (id) => ask(context, name, () => service.file(id, signal)),
  });
  if (compared.verdict !== 'same') throw differs(compared.file, expected);
  return compared.file;
}

/** Finds a file of ours with these bytes; null where there is none. */
export async function findByContent(context: Context, expected: Expected): Promise<FileJson | null> {
  const { md5, sha256, size } = expected;
  const answer = await context.service.check({ md5, sha256, size }, context.signal);
  if (answer.status === 'exists' && answer.file) return answer.file;
  // With INSTANT=off the service does not say what it has, but it always lists our own files.
  return findListed(context, expected);
}

/**
 * Finds the published file in the list, page by page from the newest; null where no page has it. It has the name with which its
 * upload was begun, or that given to this run, and a number where that was taken.
 */
async function findListed({ service, signal }: Context, expected: Expected): Promise<FileJson | null> {
  const { name, begun } = expected;
  for (const search of new Set([searchFor(name), searchFor(begun ? begun.name : name)])) {
    for (let cursor: string | null | undefined; cursor !== null;) {
      const from = { ...(search === '' ? {} : { search }), ...(cursor === undefined ? {} : { cursor }) };
      const page = await service.list({ limit: PAGE, sort: 'uploaded', order: 'desc', ...from }, signal);
      const found = page.files.find((file) => judge(file, expected, true) === 'same');
      if (found) return found;
      cursor = page.nextCursor;
    }
  }
  return null;
}

/** The service searches names without their folders. @param name - null: no name was declared, and the service has chosen one. */
function searchFor(name: string | null): string {
  return name === null ? '' : beginningOf(splitExtension(lastPart(keptName(name)))[0]);
}

/** Sends a HEAD for an upload; null when it no longer exists. @param workBytes - see `TusExchange`. */
export async function lookAtUpload(context: Context, url: string, workBytes: number): Promise<Answer | null> {
  const { service, signal } = context;
  const headers = { 'Tus-Resumable': '1.0.0' };
  return service.tus({ method: 'HEAD', url, headers, signal, workBytes }).catch(nullWhenGone);
}

/** Reads a file of the catalog; null when it no longer exists. */
export function findFile({ service, signal }: Context, id: string): Promise<FileJson | null> {
  return service.file(id, signal).catch(nullWhenGone);
}

/** The id of the published file in the answer to a HEAD; null where there is none. */
export function fileIdOf(answer: Answer | null): string | null {
  const id = answer?.headers['tidemark-file-id'];
  return typeof id === 'string' ? id : null;
}

function differs(file: FileJson, expected: Expected): CliError {
  const what = (of: { md5: string; sha256?: string; size: number }): string =>
    file.md5 === expected.md5 && file.size === expected.size
      ? `SHA-256 ${of.sha256 ?? 'unknown'}`
      : `MD5 ${of.md5}, ${of.size} bytes`;
  return new CliError(
    'digest_differs',
    `the service published other bytes than were sent: ${what(file)}, instead of ${what(expected)}`,
  );
}
