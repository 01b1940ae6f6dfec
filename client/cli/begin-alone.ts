/** How to begin an upload, once no other client is sending the same bytes. */
import type { FileJson } from '../../server/wire/files.ts';
import { isSameResource } from '../core/addresses.ts';
import { LOOK_INTERVAL_MS, watchOtherSender, whatToDo } from '../core/other-sender.ts';
import type { Bytes } from '../core/proof.ts';
import { ask } from './context.ts';
import type { Context } from './context.ts';
import type { Journal, Journalled } from './journal.ts';
import type { FileIdentity } from './local-file.ts';
import type { ProgressItem } from './progress.ts';
import { sleep } from './retry.ts';

/** The content, and the name that it is to have. */
export interface Wanted extends Bytes {
  name: string;
}

export type Beginning =
  /** The service has it. */
  | { file: FileJson }
  | {
      /** An unfinished upload to resume. */
      uploadUrl: string | null;
      /** A run of ours began it, and has ended. */
      isOurs: boolean;
      /** The upload of another client that is too slow to wait for. It is left alone. */
      avoid: string | null;
    };

/**
 * Asks for the content. While another client is sending the very same bytes, watches them arrive, so that nothing is sent
 * twice; once that client stops, resumes its upload. The upload of an earlier run of this command is resumed at once.
 */
export async function beginAlone(
  context: Context,
  progress: ProgressItem,
  wanted: Wanted,
  own: { journal: Journal; identity: FileIdentity },
): Promise<Beginning> {
  const { service, signal, output } = context;
  const { name: filename, ...content } = wanted;
  const watch = watchOtherSender(performance.now(), wanted.size);
  let said = false;
  let journalled: Journalled | null = null;

  /** Resumes the upload that the service names, else the one in the journal. */
  function beginWith(resume: Journalled | null, avoid: string | null): Beginning {
    const isWelcome = (left: Journalled): boolean => avoid === null || !isSameResource(left.uploadUrl, avoid);
    const left = [resume, journalled].find((one) => one !== null && isWelcome(one)) ?? null;
    const isOurs = left?.sender === 'ended' && !left.begunElsewhere;
    return { uploadUrl: left?.uploadUrl ?? null, isOurs, avoid };
  }

  for (;;) {
    // Asked at each look: a run that ends meanwhile is noticed here first. A finished run leaves no entry.
    journalled = (await own.journal.find(own.identity)) ?? journalled;
    const answer = await ask(context, filename, () => service.check({ ...content, filename }, signal));
    if (answer.status === 'exists') return answer.file ? { file: answer.file } : beginWith(null, null);
    const { resume } = answer;
    if (!resume) return beginWith(null, null);
    const isIt = (url: string): boolean => isSameResource(url, resume.url);
    // An entry of this file, or of one that had another name then.
    const known = journalled !== null && isIt(journalled.uploadUrl) ? journalled : await own.journal.findUpload(isIt);
    const sender = known?.sender ?? 'unknown';
    const begunElsewhere = known?.begunElsewhere ?? true;
    const left = resume.length === wanted.size ? { uploadUrl: resume.url, sender, begunElsewhere } : null;
    const next = whatToDo(sender, answer.status === 'uploading', () =>
      watch(performance.now(), resume.offset, resume.idle),
    );
    if (next === 'resume') return beginWith(left, null);
    if (next === 'avoid') {
      output.say(`${filename}: they come in slowly; sending them as well`);
      return beginWith(left, resume.url);
    }
    if (!said) {
      const who = sender === 'running' ? 'another run of this command' : 'another client';
      output.say(`${filename}: these bytes are being sent already, by ${who}; watching`);
      progress.phase('waiting', wanted.size);
    }
    said = true;
    progress.jump(resume.offset);
    await sleep(LOOK_INTERVAL_MS, signal);
  }
}
