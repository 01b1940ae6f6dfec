/** How to begin an upload, once nobody else brings its content in. */
import type { FileJson } from '../../server/wire/files.ts';
import { ask } from './context.ts';
import type { Context } from './context.ts';
import type { Journal, Journalled } from './journal.ts';
import type { FileIdentity } from './local-file.ts';
import { LOOK_INTERVAL_MS, watchOtherSender } from './other-sender.ts';
import type { ProgressItem } from './progress.ts';
import { sleep } from './retry.ts';

/** The content, and the name that it is to have. */
export interface Wanted {
  name: string;
  md5: string;
  sha256: string;
  size: number;
}

export type Beginning =
  /** The service has it. */
  | { file: FileJson }
  | {
      /** An unfinished upload to go on with. */
      uploadUrl: string | null;
      /** A run of ours has begun it, and has ended. */
      isOurs: boolean;
      /** An upload that is in better hands elsewhere, slow as it is. */
      avoid: string | null;
    };

/**
 * Asks for the content. While somebody else is sending the very same bytes, waits and
 * watches them come in, since nothing needs to be sent twice; once they stop, their
 * upload is ours to go on with. What a run of our own left, that is not there any more,
 * is gone on with at once.
 */
export async function beginAlone(
  context: Context,
  progress: ProgressItem,
  wanted: Wanted,
  own: { journal: Journal; identity: FileIdentity },
): Promise<Beginning> {
  const { service, signal, output } = context;
  const { name: filename, ...content } = wanted;
  const watch = watchOtherSender(wanted.size);
  let said = false;
  let journalled: Journalled | null = null;

  /** Goes on with what the service names, else with what the journal does. */
  function goOn(resume: Journalled | null, avoid: string | null): Beginning {
    const isWelcome = (left: Journalled): boolean => avoid === null || !service.isSame(left.uploadUrl, avoid);
    const left = [resume, journalled].find((one) => one !== null && isWelcome(one)) ?? null;
    const isOurs = left?.sender === 'ended' && !left.begunElsewhere;
    return { uploadUrl: left?.uploadUrl ?? null, isOurs, avoid };
  }

  for (;;) {
    // A run that watches is the first to know of the other's end; a run that is done leaves no entry.
    journalled = (await own.journal.find(own.identity)) ?? journalled;
    const answer = await ask(context, filename, () => service.check({ ...content, filename }, signal));
    if (answer.status === 'exists') return answer.file ? { file: answer.file } : goOn(null, null);
    const { resume } = answer;
    if (!resume) return goOn(null, null);
    const isIt = (url: string): boolean => service.isSame(url, resume.url);
    // Of this file, or of one that had another name then.
    const known = journalled !== null && isIt(journalled.uploadUrl) ? journalled : await own.journal.findUpload(isIt);
    const sender = known?.sender ?? 'unknown';
    const begunElsewhere = known?.begunElsewhere ?? true;
    const left = resume.length === wanted.size ? { uploadUrl: resume.url, sender, begunElsewhere } : null;
    const byOtherRun = sender === 'running';
    if (sender === 'ended') return goOn(left, null);
    // Another run of ours may be slow to bring its first byte; that it is there is known all the same.
    if (answer.status !== 'uploading' && !byOtherRun) return goOn(left, null);
    const verdict = watch(resume.offset, resume.idle);
    if (verdict === 'silent') return goOn(left, null);
    if (verdict === 'slow' && !byOtherRun) {
      output.say(`${filename}: they come in slowly; sending them as well`);
      return goOn(left, resume.url);
    }
    if (!said) {
      const who = byOtherRun ? 'another run of this command' : 'someone else';
      output.say(`${filename}: these bytes are being sent already, by ${who}; watching`);
      progress.phase('waiting', wanted.size);
    }
    said = true;
    progress.jump(resume.offset);
    await sleep(LOOK_INTERVAL_MS, signal);
  }
}
