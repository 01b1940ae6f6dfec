/** The final upload, which joins the parts of a file (tus 1.0.0, "Concatenation"). */
import type { FileJson } from '../../server/wire/files.ts';
import { readMetadata } from '../core/metadata.ts';
import { finalHeader, isJoined, joinAllowanceMs, joinPauseMs } from '../core/upload-parts.ts';
import { ask } from './context.ts';
import type { Context } from './context.ts';
import { CliError, OtherFormError, ServiceError, TransportError } from './errors.ts';
import { sleep } from './retry.ts';
import { type Expected, fileIdOf, findByContent, lookAtUpload } from './verify.ts';

/** `url`: of the final upload; null where its answer got lost, and it has published the file. */
export interface Final {
  url: string | null;
  fileId: string | null;
}

/** The service no longer has some of the parts, or the final upload. */
export class PartsLostError extends CliError {
  constructor(options: { cause?: unknown } = {}) {
    super('parts_lost', 'the service has lost parts of the file; upload it again', options);
    this.name = 'PartsLostError';
  }
}

/**
 * Creates the final upload of parts that are whole.
 *
 * @param metadata - as of any upload: that of the parts does not count.
 * @throws PartsLostError
 */
export function createFinal(
  context: Context,
  urls: readonly string[],
  metadata: Readonly<Record<string, string>>,
  expected: Expected,
): Promise<Final> {
  const { service, signal } = context;
  const pairs = Object.entries(metadata).map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`);
  const headers = {
    'Tus-Resumable': '1.0.0',
    'Upload-Concat': finalHeader(urls.map((url) => service.rebase(url))),
    'Upload-Metadata': pairs.join(','),
  };
  let mayBeCreated = false;
  return ask(context, expected.name, async () => {
    // Another final upload of the same parts would become another file.
    const file = mayBeCreated ? await awaitFile(context, expected) : null;
    if (file) return { url: null, fileId: file.id };
    mayBeCreated = false;
    try {
      const { size: workBytes } = expected;
      const answer = await service.tus({ method: 'POST', url: service.uploadsUrl, headers, signal, workBytes });
      const { location } = answer.headers;
      if (location === undefined) throw new CliError('protocol', 'the service did not say where the upload is');
      const url = service.rebase(new URL(location, service.uploadsUrl).href);
      return { url, fileId: fileIdOf(answer) };
    } catch (error) {
      if (error instanceof ServiceError && error.code === 'partial_not_found')
        throw new PartsLostError({ cause: error });
      mayBeCreated = isAnswerLost(error);
      throw error;
    }
  });
}

/** Whether the request may have reached the service. */
function isAnswerLost(error: unknown): boolean {
  if (error instanceof ServiceError) return error.status === 502 || error.status === 504;
  if (!(error instanceof TransportError) || error instanceof OtherFormError) return false;
  return error.code !== 'econnrefused';
}

/** Waits for the file of a final upload whose answer got lost; null where there is none by the time it would be there. */
async function awaitFile(context: Context, expected: Expected): Promise<FileJson | null> {
  const startedAt = performance.now();
  const allowedMs = joinAllowanceMs(expected.size);
  for (let looks = 0; ; looks += 1) {
    const file = await findByContent(context, expected);
    if (file || performance.now() - startedAt > allowedMs) return file;
    await sleep(joinPauseMs(looks), context.signal);
  }
}

/**
 * Waits until the service has joined the parts.
 *
 * @returns the id of the published file, where the answer has it, and the name with which the final upload was created.
 * @throws PartsLostError where the final upload has ended without a file.
 */
export async function awaitJoined(
  context: Context,
  url: string,
  { name, size }: Pick<Expected, 'name' | 'size'>,
): Promise<{ fileId: string | null; declaredName: string | null }> {
  for (let looks = 0; ; looks += 1) {
    const answer = await ask(context, name, () => lookAtUpload(context, url, size));
    if (answer === null) throw new PartsLostError();
    const declared = readMetadata(String(answer.headers['upload-metadata'] ?? ''));
    const fileId = fileIdOf(answer);
    if (fileId !== null || isJoined(answer.headers['upload-offset']?.toString())) {
      return { fileId, declaredName: declared.get('filename') ?? null };
    }
    if (looks === 0) context.output.say(`${name}: all bytes are there; the service joins the parts`);
    await sleep(joinPauseMs(looks), context.signal);
  }
}
