/** The question what becomes of files whose names are taken: asked once for all files that the user has chosen together. */
import type { TakenNameJson } from '../../../server/wire/files.ts';
import { findNamed } from './api-folders.ts';
import { type Chosen, wantedPath } from './chosen.ts';
import { byId, make, setText, shownName } from './dom.ts';
import { formatCount } from './format.ts';
import { texts } from './i18n.ts';
import { isAcceptablePath } from './names.ts';

/** `both`: the new file gets a number; `skip`: it is not sent. */
export type Answer = 'both' | 'replace' | 'skip';

export interface Question {
  /** The answer for a file whose bytes are known, where it needs no question, or the question was answered; else null. */
  answerFor(name: string, md5: string): Answer | null;
  /** Asks, for all files of the group that may need it. */
  ask(): Promise<Answer>;
}

/** The most names that the dialog shows. */
const MOST_SHOWN = 5;

/**
 * Prepares the question.
 *
 * @param add - sends files.
 * @returns a function that sends files: at once those whose names are free, the others as the user answers.
 */
export function createAsking(add: (chosen: readonly Chosen[]) => void): (chosen: readonly Chosen[]) => Promise<void> {
  const ask = createDialog();

  return async function addAsking(chosen) {
    // Without an answer of the service both files are kept: nothing is lost.
    const names = chosen.map(wantedPath).filter(isAcceptablePath);
    const taken = await findNamed(names).catch(() => []);
    const others = new Map<string, TakenNameJson[]>();
    for (const other of taken) others.set(other.name, [...(others.get(other.name) ?? []), other]);
    const question = createQuestion(others, ask);
    const sent: Chosen[] = [];
    const refused: Chosen[] = [];
    for (const one of chosen) {
      const there = others.get(wantedPath(one));
      if (!there) sent.push(one);
      // It may be the same file once more: its digest tells.
      else if (there.some(({ size }) => size === one.file.size)) sent.push({ ...one, question });
      else refused.push(one);
    }
    if (sent.length > 0) add(sent);
    if (refused.length === 0) return;
    const answer = await question.ask();
    if (answer === 'both') add(refused);
    if (answer === 'replace') add(refused.map((one) => ({ ...one, onConflict: 'replace' as const })));
  };
}

/** The answer is for all names that are taken: the dialog names them all, but those of files that were found to be the same. */
function createQuestion(
  others: ReadonlyMap<string, readonly TakenNameJson[]>,
  show: (names: readonly string[]) => Promise<Answer>,
): Question {
  const names = new Set(others.keys());
  let asked: Promise<Answer> | null = null;
  let answer: Answer | null = null;

  return {
    ask: async () => {
      asked ??= show([...names]);
      answer = await asked;
      return answer;
    },
    answerFor: (name, md5) => {
      const isSame = others.get(name)?.some((other) => other.md5 === md5) ?? false;
      if (!isSame) return answer;
      names.delete(name);
      return 'both';
    },
  };
}

/** @returns a function that shows the dialog, one question after the other. */
function createDialog(): (names: readonly string[]) => Promise<Answer> {
  const dialog = byId<HTMLDialogElement>('taken');
  let last: Promise<unknown> = Promise.resolve();

  function show(names: readonly string[]): Promise<Answer> {
    const t = texts();
    setText(byId('taken-title'), names.length === 1 ? t.nameTaken : t.namesTaken(formatCount(names.length)));
    const shown = names
      .slice(0, MOST_SHOWN)
      .map((name) => make('li', {}, make('bdi', { dir: 'auto' }, shownName(name))));
    if (names.length > MOST_SHOWN) shown.push(make('li', {}, t.more(formatCount(names.length - MOST_SHOWN))));
    byId('taken-names').replaceChildren(...shown);
    dialog.returnValue = '';
    dialog.showModal();
    return new Promise((resolve) => {
      const onClose = (): void => {
        // Escape: what is there is left as it is.
        resolve(dialog.returnValue === 'both' || dialog.returnValue === 'replace' ? dialog.returnValue : 'skip');
      };
      dialog.addEventListener('close', onClose, { once: true });
    });
  }

  return (names) => {
    const answer = last.then(() => show(names));
    last = answer;
    return answer;
  };
}
