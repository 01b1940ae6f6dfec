/** Whether what the service published is what was sent: the last word before success is reported. */
import { CliError, ServiceError, TransportError } from './errors.ts';
import type { Context } from './context.ts';
import { ask } from './context.ts';
import type { Answer } from './http.ts';
import type { CheckAnswer, RemoteFile } from './service-client.ts';
import type { TransferResult } from './transfer.ts';

/** Publication follows the last byte at once; a service that restarts in between finishes it on the next HEAD. */
const NOT_PUBLISHED_ATTEMPTS = 8;

export interface Expected {
  name: string;
  md5: string;
  size: number;
}

/**
 * The published file, after its MD5 and size have been compared with ours.
 *
 * @throws CliError `not_published`, `digest_differs`.
 */
export function verifyPublished(context: Context, sent: TransferResult, expected: Expected): Promise<RemoteFile> {
  const { service, signal } = context;
  let { fileId } = sent;

  async function lookUp(): Promise<RemoteFile | null> {
    if (fileId !== null) {
      const file = await service.file(fileId, signal).catch(nullWhenMissing);
      if (file) return file;
    }
    const { md5, size } = expected;
    const answer: CheckAnswer = await service.check({ md5, size }, signal);
    if (answer.status === 'exists' && answer.file) return answer.file;
    // A service may keep to itself what it has (INSTANT=off); our own list always shows it.
    const { files } = await service.list(
      { limit: 100, sort: 'uploaded', order: 'desc', search: expected.name },
      signal,
    );
    return files.find((file) => file.md5 === md5 && file.size === size) ?? null;
  }

  // By looking, the service is led to finish what a restart left unfinished.
  async function lookAt(url: string | null): Promise<Answer | null> {
    if (url === null) return null;
    const headers = { 'Tus-Resumable': '1.0.0' };
    return service.tus({ method: 'HEAD', url, headers, signal, workBytes: expected.size }).catch(nullWhenMissing);
  }

  return ask(context, expected.name, async (attempt) => {
    const file = await lookUp();
    if (file) return compare(file, expected);
    if (attempt >= NOT_PUBLISHED_ATTEMPTS) {
      throw new CliError('not_published', 'all bytes were sent, but the service has not published the file');
    }
    const answer = await lookAt(sent.uploadUrl);
    const id = answer?.headers['tidemark-file-id'];
    if (typeof id === 'string') fileId = id;
    throw new TransportError('not_published_yet', 'the file is not published yet');
  });
}

function nullWhenMissing(error: unknown): null {
  if (error instanceof ServiceError && error.status === 404) return null;
  throw error;
}

function compare(file: RemoteFile, expected: Expected): RemoteFile {
  if (file.md5 === expected.md5 && file.size === expected.size) return file;
  throw new CliError(
    'digest_differs',
    `the service published other bytes than were sent: MD5 ${file.md5}, ${file.size} bytes, ` +
      `instead of ${expected.md5}, ${expected.size} bytes`,
  );
}
