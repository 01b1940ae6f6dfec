/** Whether what the service published is what was sent: the last word before success is reported. */
import type { FileJson } from '../../server/wire/files.ts';
import { CliError, ServiceError, TransportError } from './errors.ts';
import type { Context } from './context.ts';
import { ask } from './context.ts';
import type { Answer } from './http.ts';
import type { TransferResult } from './transfer.ts';

/** Publication follows the last byte at once; a service that restarts in between finishes it on the next HEAD. */
const NOT_PUBLISHED_ATTEMPTS = 8;

export interface Expected {
  name: string;
  md5: string;
  sha256: string;
  size: number;
  /** Whether all its bytes are known to be ours: then an equal MD5, which the service computed of them, says enough. */
  isProven: boolean;
}

/**
 * The published file, after its digests and size have been compared with ours.
 *
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
    // By looking, the service is led to finish what a restart left unfinished.
    fileId ??= sent.uploadUrl === null ? null : fileIdOf(await lookAtUpload(context, sent.uploadUrl, size));
    if (fileId !== null) {
      const file = await findFile(context, fileId);
      if (file) return file;
      fileId = null;
    }
    const answer = await service.check({ md5, sha256, size }, signal);
    if (answer.status === 'exists' && answer.file) return answer.file;
    // A service may keep to itself what it has (INSTANT=off); our own list always shows it.
    const search = Array.from(name).slice(0, 60).join('');
    const { files } = await service.list({ limit: 100, sort: 'uploaded', order: 'desc', search }, signal);
    return files.find((file) => isSame(file, expected)) ?? null;
  }

  const file = await ask(context, name, async (attempt) => {
    const found = await lookUp();
    if (found) return found;
    if (attempt >= NOT_PUBLISHED_ATTEMPTS) {
      throw new CliError('not_published', 'all bytes were sent, but the service has not published the file');
    }
    throw new TransportError('not_published_yet', 'the file is not published yet');
  });
  if (!isSame(file, expected)) throw differs(file, expected);
  if (!expected.isProven && file.sha256 === undefined) await compareSha256(context, file, expected);
  return file;
}

/** HEAD of an upload; null when it is no more. */
export async function lookAtUpload(context: Context, url: string, workBytes: number): Promise<Answer | null> {
  const { service, signal } = context;
  const headers = { 'Tus-Resumable': '1.0.0' };
  return service.tus({ method: 'HEAD', url, headers, signal, workBytes }).catch(nullWhenMissing);
}

/** A file of the catalog; null when it is no more. */
export function findFile({ service, signal }: Context, id: string): Promise<FileJson | null> {
  return service.file(id, signal).catch(nullWhenMissing);
}

/** The file that an upload has become, as HEAD tells it. */
export function fileIdOf(answer: Answer | null): string | null {
  const id = answer?.headers['tidemark-file-id'];
  return typeof id === 'string' ? id : null;
}

/** Others had a hand in it: an equal MD5 is not enough. Asking makes the service compute the SHA-256, once. */
async function compareSha256(context: Context, file: FileJson, expected: Expected): Promise<void> {
  const { service, signal } = context;
  const { name, md5, sha256, size } = expected;
  const answer = await ask(context, name, () => service.check({ md5, sha256, size }, signal));
  if (answer.status === 'exists' && answer.file?.id === file.id) return;
  // Of another file of the same content; who has asked is told the digest.
  const computed = await ask(context, name, () => service.file(file.id, signal));
  if (!isSame(computed, expected)) throw differs(computed, expected);
  // Found, and by another content than that of this file.
  if (computed.sha256 === undefined && answer.status === 'exists') throw differs(computed, expected);
}

function nullWhenMissing(error: unknown): null {
  if (error instanceof ServiceError && (error.status === 404 || error.status === 410)) return null;
  throw error;
}

function isSame(file: FileJson, { md5, sha256, size }: Expected): boolean {
  return file.md5 === md5 && file.size === size && (file.sha256 === undefined || file.sha256 === sha256);
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
