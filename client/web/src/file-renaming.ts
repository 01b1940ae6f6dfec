/** Renames a file in its row. */
import type { FileJson } from '../../../server/wire/files.ts';
import { renameFile } from './api.ts';
import { make, setText, shownName } from './dom.ts';
import { texts } from './i18n.ts';
import { isAcceptable } from './names.ts';
import { sentenceOfError } from './refusal.ts';

/** Makes the field for the new name, and an element for what is wrong with it. */
function makeForm(file: FileJson): { form: HTMLFormElement; input: HTMLInputElement; problem: HTMLElement } {
  const input = make('input', {
    value: file.name,
    ariaLabel: texts().newName(shownName(file.name)),
    spellcheck: false,
    dir: 'auto',
  });
  const problem = make('p', { className: 'problem', attributes: { role: 'alert' } });
  return { form: make('form', { className: 'rename' }, input, problem), input, problem };
}

/**
 * Puts the field for a new name into the file's row.
 *
 * @param events - `onRenamed`: the service has renamed the file. `onEnd`: the field is being removed, whether the file was
 *   renamed or not.
 */
export function startRenaming(
  row: HTMLLIElement,
  file: FileJson,
  events: { onRenamed: (file: FileJson) => void; onEnd: () => void },
): void {
  const { form, input, problem } = makeForm(file);
  row.querySelector('form')?.remove();
  row.append(form);
  input.focus();
  const dot = file.name.lastIndexOf('.');
  input.setSelectionRange(0, dot > 0 ? dot : file.name.length);
  let ended = false;
  let running = false;

  function end(): void {
    // Removing the form blurs the input, which would save and end once more.
    if (ended) return;
    ended = true;
    events.onEnd();
    form.remove();
    row.querySelector<HTMLButtonElement>('.rename')?.focus({ preventScroll: true });
  }

  async function save(): Promise<void> {
    const name = input.value.trim();
    if (running || ended || !form.isConnected) return;
    if (name === file.name) return end();
    if (!isAcceptable(name)) return setText(problem, texts().badName);
    running = true;
    try {
      events.onRenamed(await renameFile(file.id, name));
      end();
    } catch (error) {
      setText(problem, texts().renameFailed(sentenceOfError(error)));
    }
    running = false;
  }

  input.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') end();
  });
  input.addEventListener('blur', () => void save());
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void save();
  });
}
