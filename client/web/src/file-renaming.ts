/** Renames a file or a folder in its row. */
import { make, setText, shownName } from './dom.ts';
import { texts } from './i18n.ts';
import { isAcceptable } from './names.ts';
import { sentenceOfError } from './refusal.ts';

/** Makes the field for the new name, and an element for what is wrong with it. */
function makeForm(name: string): { form: HTMLFormElement; input: HTMLInputElement; problem: HTMLElement } {
  const input = make('input', {
    value: name,
    ariaLabel: texts().newName(shownName(name)),
    spellcheck: false,
    dir: 'auto',
  });
  const problem = make('p', { className: 'problem', attributes: { role: 'alert' } });
  return { form: make('form', { className: 'rename' }, input, problem), input, problem };
}

/**
 * Puts the field for a new name into a row.
 *
 * @param named - `name`: without the folders it is in. `rename`: renames it at the service.
 * @param onEnd - the field is being removed, whether it was renamed or not.
 */
export function startRenaming(
  row: HTMLLIElement,
  named: { name: string; isFolder: boolean; rename: (name: string) => Promise<void> },
  onEnd: () => void,
): void {
  const { name: before, isFolder } = named;
  const { form, input, problem } = makeForm(before);
  row.querySelector('form')?.remove();
  row.append(form);
  // In a row that can be dragged, a mouse cannot select text.
  row.draggable = false;
  input.focus();
  // The extension is seldom meant.
  const dot = before.lastIndexOf('.');
  input.setSelectionRange(0, dot > 0 && !isFolder ? dot : before.length);
  let ended = false;
  let running = false;

  function end(): void {
    // Removing the form blurs the input, which would save and end once more.
    if (ended) return;
    ended = true;
    onEnd();
    form.remove();
    row.draggable = true;
    row.querySelector<HTMLButtonElement>('.rename')?.focus({ preventScroll: true });
  }

  async function save(): Promise<void> {
    const name = input.value.trim();
    if (running || ended || !form.isConnected) return;
    if (name === before) return end();
    if (!isAcceptable(name)) return setText(problem, texts().badName);
    running = true;
    try {
      await named.rename(name);
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
