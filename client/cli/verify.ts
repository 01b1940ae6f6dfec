/** Compares the published file with what was sent, before success is reported. */
import type { FileJson } from '../../server/wire/files.ts';
import { type Bytes, compare, judge, type Way } from '../core/proof.ts';
import { CliError, TransportError, nullWhenGone } from './errors.ts';
import type { Context } from './context.ts';
import { ask } from './context.ts';
import type { Answer } from './http.ts';
import type { TransferResult } from './transfer.ts';

/** Publication follows the last byte at once; a service that restarts in between finishes it on the next HEAD. */
const NOT_PUBLISHED_ATTEMPTS = 8;

export interface Expected extends Bytes, Way {
  name: string;
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
    // The HEAD makes the service finish an upload that a restart left unfinished.
    fileId ??= sent.uploadUrl === null ? null : fileIdOf(await lookAtUpload(context, sent.uploadUrl, size));
    if (fileId !== null) {
      const file = await findFile(context, fileId);
      if (file) return file;
      fileId = null;
    }
    const answer = await service.check({ md5, sha256, size }, signal);
    if (answer.status === 'exists' && answer.file) return answer.file;
    // A service may not tell what it has (INSTANT=off), but it always lists our own files.
    const search = Array.from(name).slice(0, 60).join('');
    const { files } = await service.list({ limit: 100, sort: 'uploaded', order: 'desc', search }, signal);
    return files.find((file) => judge(file, expected, true) === 'same') ?? null;
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

/** HEAD of an upload; null when it no longer exists. */
export async function lookAtUpload(context: Context, url: string, workBytes: number): Promise<Answer | null> {
  const { service, signal } = context;
  const headers = { 'Tus-Resumable': '1.0.0' };
  return service.tus({ method: 'HEAD', url, headers, signal, workBytes }).catch(nullWhenGone);
}

/** A file of the catalog; null when it no longer exists. */
export function findFile({ service, signal }: Context, id: string): Promise<FileJson | null> {
  return service.file(id, signal).catch(nullWhenGone);
}

/** The file that an upload has become, as HEAD tells it. */
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
