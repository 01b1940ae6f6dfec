/** `tidemark get --zip`: downloads several files as one ZIP file, and verifies each of them in it. */
import { createHash } from 'node:crypto';
import type { FileJson } from '../../../server/wire/files.ts';
import type { Context } from '../context.ts';
import { ask } from '../context.ts';
import { UsageError } from '../errors.ts';
import { fetchAndTell } from '../fetch-and-tell.ts';
import type { Fetched } from '../fetch-to-file.ts';
import { findFile } from '../find-file.ts';
import { refuseTaken } from '../sinks.ts';
import { isArchiveIntact } from '../verify-archive.ts';
import { targetPath } from './get.ts';

/** The service takes so many parameters in an address; without one, a download could not be resumed. */
const MOST_FILES = 100;
/** In a folder. */
const DEFAULT_NAME = 'files.zip';

/** @param given - each names a file. @param path - of the ZIP file, or a folder for it. */
export async function runGetArchive(
  given: readonly string[],
  path: string,
  { force }: { force: boolean },
  context: Context,
): Promise<number> {
  const { output, service, signal } = context;
  if (given.length > MOST_FILES) throw new UsageError(`--zip takes at most ${MOST_FILES} files.`);
  const target = await targetPath(path, DEFAULT_NAME);
  if (!force) await refuseTaken(target);
  const files = await findAll(given, context);
  const ids = files.map(({ id }) => id);
  const fetched: Fetched = {
    url: service.archiveUrl(ids),
    key: createHash('md5').update(ids.join(' ')).digest('hex'),
    size: await ask(context, null, () => service.archiveSize(ids, signal)),
    isIntact: (sink, onProgress) => isArchiveIntact(sink, files, onProgress, signal),
    differs: 'what arrived does not have the MD5s of these files; it was dropped',
  };
  return fetchAndTell(context, fetched, target, { force, streams: 1 }, ({ words, facts }) => {
    const count = files.length === 1 ? '1 file' : `${files.length} files`;
    output.say(`${target}: ${count}, ${words}, MD5s verified`);
    return { path: target, status: 'downloaded', ids, ...facts };
  });
}

/** The files that the arguments name, each once. */
async function findAll(given: readonly string[], context: Context): Promise<FileJson[]> {
  const found = new Map<string, FileJson>();
  for (const one of given) {
    const file = await findFile(one, 'read', context);
    found.set(file.id, file);
  }
  return [...found.values()];
}
