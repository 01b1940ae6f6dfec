/** `tidemark check`: whether the service has the content of local files. Uploads nothing, creates nothing. */
import type { CheckJson } from '../../../server/wire/check.ts';
import type { Bytes } from '../../core/proof.ts';
import { ask } from '../context.ts';
import type { Context } from '../context.ts';
import { digestFile } from '../digests.ts';
import { EXIT, codeOf, describeError } from '../errors.ts';
import { isHopeless } from '../first-contact.ts';
import { printable } from '../format.ts';
import { openLocalFile } from '../local-file.ts';
import { provePossession } from '../possession.ts';
import { createProgress } from '../progress.ts';
import type { ProgressItem } from '../progress.ts';

/** @returns exit code 0 when the service answered for every file, whatever the answers. */
export async function runCheck(paths: readonly string[], context: Context): Promise<number> {
  const { output, signal } = context;
  const progress = createProgress(output, { files: paths.length, bytes: 0 });
  let failed = 0;
  for (const path of paths) {
    const item = progress.item(path);
    try {
      const { content, answer } = await checkFile(path, context, item);
      const { size, ...digests } = content;
      item.end();
      const { status } = answer;
      const url = answer.status === 'exists' ? answer.url : undefined;
      const resume = answer.status === 'exists' ? undefined : answer.resume;
      if (output.modes.json) {
        output.record({
          path,
          status,
          ...digests,
          size,
          ...(url === undefined ? {} : { url }),
          ...(resume ? { resume } : {}),
        });
      } else {
        const there = resume ? ` (${resume.offset} of ${size} bytes)` : '';
        output.result(`${printable(path)}: ${status}${there}${url === undefined ? '' : ` ${printable(url)}`}`);
      }
    } catch (error) {
      item.end();
      if (signal.aborted) break;
      if (isHopeless(error)) throw error;
      failed += 1;
      const message = describeError(error);
      output.complain(message.startsWith(`${path}: `) ? message : `${path}: ${message}`);
      if (output.modes.json) output.record({ path, status: 'failed', error: { code: codeOf(error), message } });
    }
  }
  progress.stop();
  signal.throwIfAborted();
  return failed === 0 ? EXIT.done : EXIT.failed;
}

/** Asks whether the service has the content of a file; where others may have sent it, proves to have it. */
async function checkFile(
  path: string,
  context: Context,
  item: ProgressItem,
): Promise<{ content: Bytes; answer: CheckJson }> {
  const { service, signal } = context;
  const file = await openLocalFile(path, signal);
  try {
    const { size } = file;
    item.phase('hashing', size);
    const { md5, sha256 } = await digestFile(file, { signal, onProgress: (bytes) => item.at(bytes) });
    const content = { md5, sha256, size };
    const answer = await ask(context, path, () => service.check({ ...content, prove: true }, signal));
    return { content, answer: await provePossession(context, path, answer, file, content) };
  } finally {
    await file.close();
  }
}
