/** The load of big files: from curl where it is on the PATH, else from this process. */
import { execFile } from 'node:child_process';
import { access, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeRandomFile } from '../../test/harness/make-file.ts';
import { inParallel, sendFileAtOnce } from './load.ts';
import type { Timing } from './small-files.ts';
import { findOnPath, type Target } from './targets.ts';

const curl = findOnPath('curl');
const OFFSET_TYPE = 'Content-Type: application/offset+octet-stream';

/** What is sent, each file in one request. */
export interface BigFiles {
  files: number;
  sizeBytes: number;
  /** All at once, or one after the other over one connection. */
  atOnce: boolean;
}

/** Says which client big files come from. */
export function describeBigFilesClient(): string {
  return curl
    ? 'big files: from curl, which reads them from the page cache'
    : 'big files: from this process, since curl is not on the PATH. It takes as much CPU as some servers, so that differences between them look smaller than they are';
}

/**
 * Sends files, all of them different.
 *
 * @param folder - where they are created, once for all servers.
 * @param set - files of another set have other bytes: those of a warm-up must not be there already when they are measured.
 */
export async function sendBigFiles(folder: string, target: Target, load: BigFiles, set = 'load'): Promise<Timing> {
  const paths = curl && !target.send ? await makeFiles(folder, load, set) : [];
  if (curl && !target.send) return sendFromCurl(curl, target, load, paths);
  const startedAt = performance.now();
  await inParallel(load.files, load.atOnce ? load.files : 1, async () => {
    if (target.send) await target.send(load.sizeBytes);
    else await sendFileAtOnce(target, load.sizeBytes);
  });
  return { seconds: (performance.now() - startedAt) / 1000 };
}

/** Creates the files that are missing, and writes them to the disk, so that this does not happen while others write. */
async function makeFiles(folder: string, { files, sizeBytes }: BigFiles, set: string): Promise<string[]> {
  const paths = Array.from({ length: files }, (_, number) => join(folder, `${set}-${sizeBytes}-${number}`));
  for (const path of paths) {
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (isThere) continue;
    await makeRandomFile(path, sizeBytes);
    const file = await open(path);
    await file.sync();
    await file.close();
  }
  return paths;
}

async function sendFromCurl(program: string, target: Target, load: BigFiles, paths: string[]): Promise<Timing> {
  const config = `${paths[0]}.curl`;
  const isTus = target.protocol === 'tus';
  const tusFields = ['Tus-Resumable: 1.0.0', `Upload-Length: ${load.sizeBytes}`, OFFSET_TYPE];
  const lines = [
    'no-progress-meter',
    'write-out = "%{http_code} %{time_total}\\n"',
    ...(isTus ? ['request = POST'] : []),
    ...(load.atOnce ? ['parallel', 'parallel-immediate', `parallel-max = ${load.files}`] : []),
    ...['Expect:', ...(isTus ? tusFields : [])].map((field) => `header = "${field}"`),
    ...paths.flatMap((path) => [`url = "${target.url}"`, `upload-file = "${path}"`, 'output = "/dev/null"']),
  ];
  await writeFile(config, lines.join('\n'));
  const { stdout } = await promisify(execFile)(program, ['--config', config]);
  const answers = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map(Number) as [number, number]);
  const refused = answers.find(([status]) => status < 200 || status > 299);
  if (refused) throw new Error(`${target.name} answered ${refused[0]}`);
  if (answers.length !== load.files)
    throw new Error(`${target.name} answered ${answers.length} of ${load.files} files`);
  const seconds = answers.map(([, time]) => time);
  return { seconds: load.atOnce ? Math.max(...seconds) : seconds.reduce((sum, time) => sum + time, 0) };
}
