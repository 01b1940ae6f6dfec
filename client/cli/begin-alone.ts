/** Decides how to begin an upload, and waits while another client is sending the same bytes. */
import type { CheckJson } from '../../server/wire/check.ts';
import type { FileJson, OnConflictJson } from '../../server/wire/files.ts';
import { isSameResource } from '../core/addresses.ts';
import { LOOK_INTERVAL_MS, watchOtherSender, whatToDo } from '../core/other-sender.ts';
import { isWorthProving } from '../core/possession.ts';
import type { Bytes } from '../core/proof.ts';
import { ask } from './context.ts';
import type { Context } from './context.ts';
import type { Journal, Journalled } from './journal.ts';
import type { LocalFile } from './local-file.ts';
import { provePossession } from './possession.ts';
import type { ProgressItem } from './progress.ts';
import { sleep } from './retry.ts';

/** The content, and the name that its file shall have. */
export interface Wanted extends Bytes {
  name: string;
  /** What becomes of another file that has the name. */
  onConflict?: OnConflictJson;
}

export type Beginning =
  /** The service has the content: nothing needs to be sent. */
  | { file: FileJson }
  | {
      /** An unfinished upload to resume; null to create one. */
      uploadUrl: string | null;
      /** An earlier run of this command began that upload, and has ended. */
      isOurs: boolean;
      /** The upload of another client that is too slow to wait for, and must not be touched. */
      avoid: string | null;
    };

/**
 * Asks the service for the content. While another client is sending the very same bytes, waits, so that nothing is sent
 * twice. Once that client stops, resumes its upload. Resumes the upload of an earlier run of this command at once.
 */
export async function beginAlone(
  context: Context,
  progress: ProgressItem,
  wanted: Wanted,
  own: { journal: Journal; file: LocalFile },
): Promise<Beginning> {
  const { service, signal, output } = context;
  const { name: filename, onConflict, ...content } = wanted;
  const named = { filename, ...(onConflict ? { onconflict: onConflict } : {}) };
  const watch = watchOtherSender(performance.now(), wanted.size);
  let said = false;
  let journalled: Journalled | null = null;
  let mayProve = isWorthProving(wanted.size);

  /** Asks whether the service has the content. At the first look it may be that of another owner: we prove to have it. */
  async function look(): Promise<CheckJson> {
    const question = { ...content, ...named };
    const asked = mayProve ? { ...question, prove: true as const } : question;
    const answer = await ask(context, filename, () => service.check(asked, signal));
    if (!mayProve) return answer;
    mayProve = false;
    return provePossession(context, filename, answer, own.file, question);
  }

  /** Resumes the upload that the service names, else the one in the journal. */
  function beginWith(resume: Journalled | null, avoid: string | null): Beginning {
    const isWelcome = (left: Journalled): boolean => avoid === null || !isSameResource(left.uploadUrl, avoid);
    const left = [resume, journalled].find((one) => one !== null && isWelcome(one)) ?? null;
    const isOurs = left?.sender === 'ended' && !left.begunElsewhere;
    return { uploadUrl: left?.uploadUrl ?? null, isOurs, avoid };
  }

  for (;;) {
    // Read at each look: another run of ours may end meanwhile. A successful run removes its entry, so the last one is kept.
    journalled = (await own.journal.find(own.file.identity)) ?? journalled;
    const answer = await look();
    if (answer.status === 'exists') return answer.file ? { file: answer.file } : beginWith(null, null);
    const { resume } = answer;
    if (!resume) return beginWith(null, null);
    const isIt = (url: string): boolean => isSameResource(url, resume.url);
    // The entry may be of this file, or of another file with the same bytes.
    const known = journalled !== null && isIt(journalled.uploadUrl) ? journalled : await own.journal.findUpload(isIt);
    const sender = known?.sender ?? 'unknown';
    const begunElsewhere = known?.begunElsewhere ?? true;
    const left = resume.length === wanted.size ? { uploadUrl: resume.url, sender, begunElsewhere, sentAs: null } : null;
    const next = whatToDo(sender, answer.status === 'uploading', () =>
      watch(performance.now(), resume.offset, resume.idle),
    );
    if (next === 'resume') return beginWith(left, null);
    if (next === 'avoid') {
      output.say(`${filename}: the other client is slow; sending the bytes as well`);
      return beginWith(left, resume.url);
    }
    if (!said) {
      const who = sender === 'running' ? 'another run of this command' : 'another client';
      output.say(`${filename}: ${who} is already sending these bytes; waiting for it`);
      progress.phase('waiting', wanted.size);
    }
    said = true;
    progress.jump(resume.offset);
    await sleep(LOOK_INTERVAL_MS, signal);
  }
}
