/** `tidemark get <link>`: downloads what a link has, and verifies it. Needs no token: the address says it all. */
import { createHash } from 'node:crypto';
import { lstat, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { LinkAddress } from '../../core/addresses.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT, UsageError } from '../errors.ts';
import { fetchAndTell, tellFile } from '../fetch-and-tell.ts';
import type { Fetched } from '../fetch-to-file.ts';
import { openLinkPassword } from '../link-password.ts';
import { type LinkSession, openLinkSession } from '../link-session.ts';
import { type LinkedFile, listLinked } from '../link-tree.ts';
import { openLocalTree } from '../local-tree.ts';
import { isPresent } from '../present.ts';
import { createProgress } from '../progress.ts';
import { refuseTaken } from '../sinks.ts';
import { isArchiveIntact } from '../verify-archive.ts';
import { fetchedOf, type GetOptions, getToStdout, targetPath } from './get.ts';

export interface GetLinkOptions extends GetOptions {
  /** Has the password; null: it is asked for. */
  passwordFile: string | null;
  /** Where all files become one ZIP file; null: each is a file. */
  zip: string | null;
}

/** Downloads all files of a link: each by its name, or as one ZIP file. */
export async function runGetLink(link: LinkAddress, options: GetLinkOptions, context: Context): Promise<number> {
  const password = await openLinkPassword(options.passwordFile, context);
  const session = await openLinkSession(link, password, context);
  const shared = await session.look();
  const files = await listLinked(session, shared);
  if (options.zip !== null) return getArchive(session, { files, name: shared.name }, { ...options, zip: options.zip });
  if ((shared.folders ?? []).length > 0) return getTree(session, files, options);
  const several = files.length > 1;
  if (several) await requireFolder(options.output);
  const paths = new Set<string>();
  for (const file of files) {
    if (options.output === '-') {
      const progress = createProgress(context.output, { files: 1, bytes: file.size });
      return getToStdout({ id: null, ...file }, session.context, progress).finally(() => progress.stop());
    }
    const path = freePath(await targetPath(several ? folderOf(options.output) : options.output, file.name), paths);
    const code = await getOne(session, file, path, options);
    if (code !== EXIT.done) return code;
  }
  await session.end();
  return EXIT.done;
}

/** Brings folders with their structure; single files beside them. */
async function getTree(session: LinkSession, files: readonly LinkedFile[], options: GetLinkOptions): Promise<number> {
  if (options.output === '-') throw new UsageError('The link has folders, which cannot be written to standard output.');
  if (options.output !== undefined) await requireFolder(options.output);
  const tree = await openLocalTree(options.output ?? '.');
  for (const file of files) {
    const { path, leave } = await tree.place(file.name);
    let code: number;
    try {
      code = await getOne(session, file, path, options);
    } finally {
      await leave();
    }
    if (code !== EXIT.done) return code;
  }
  await session.end();
  return EXIT.done;
}

async function getOne(
  session: LinkSession,
  file: LinkedFile,
  target: string,
  options: GetLinkOptions,
): Promise<number> {
  const { context } = session;
  const startedAt = performance.now();
  const there = await lstat(target).catch(() => null);
  if (await isPresent(target, there, file, context.signal)) {
    context.output.say(`${target}: there already, MD5 verified`);
    const { md5, size } = file;
    const durationMs = Math.round(performance.now() - startedAt);
    tellFile(context, target, { path: target, status: 'present', md5, size, receivedBytes: 0, durationMs });
    return EXIT.done;
  }
  if (there && !options.force) throw new CliError('exists', `${target} is there and differs; --force replaces it`);
  return fetchAndTell(context, fetchedOf(file), target, options, (told) => {
    context.output.say(`${target}: ${told.words}, MD5 verified`);
    return { path: target, status: 'downloaded', md5: file.md5, ...told.facts };
  });
}

async function getArchive(
  session: LinkSession,
  { files, name }: { files: readonly LinkedFile[]; name: string | null },
  options: GetLinkOptions & { zip: string },
): Promise<number> {
  const { context } = session;
  const target = await targetPath(options.zip, `${name ?? 'files'}.zip`);
  if (!options.force) await refuseTaken(target);
  const url = session.urlOf('archive');
  const fetched: Fetched = {
    url,
    key: createHash('md5')
      .update(JSON.stringify([url, files.map((file) => [file.url, file.md5])]))
      .digest('hex'),
    size: await session.archiveSize(),
    isIntact: (sink, onProgress, signal) => isArchiveIntact(sink, files, onProgress, signal),
    differs: 'what arrived does not have the MD5s of these files; it was dropped',
  };
  const code = await fetchAndTell(context, fetched, target, { ...options, streams: 1 }, (told) => {
    context.output.say(`${target}: ${files.length} files, ${told.words}, MD5s verified`);
    return { path: target, status: 'downloaded', files: files.length, ...told.facts };
  });
  if (code === EXIT.done) await session.end();
  return code;
}

/** @throws UsageError where several files cannot be written to the path. */
async function requireFolder(output: string | undefined): Promise<void> {
  if (output === undefined || output.endsWith('/')) return;
  if (output !== '-' && ((await stat(output).catch(() => null))?.isDirectory() ?? false)) return;
  throw new UsageError('The link has several files: --output names a folder that is there, or --zip a ZIP file.');
}

function folderOf(output: string | undefined): string | undefined {
  return output === undefined || output.endsWith('/') ? output : `${output}/`;
}

/** Equal names of one link get a number, so that none replaces another: the same one in each run. */
function freePath(path: string, taken: Set<string>): string {
  const name = basename(path);
  const dot = name.lastIndexOf('.');
  const [stem, ending] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  let free = path;
  // Windows and macOS do not tell letter case apart.
  for (let number = 2; taken.has(free.toLowerCase()); number++)
    free = join(path.slice(0, path.length - name.length), `${stem} (${number})${ending}`);
  taken.add(free.toLowerCase());
  return free;
}
