/** Opens a folder that is not there yet: it comes with the first file that is sent into it. */
import { byId, setText } from './dom.ts';
import { texts } from './i18n.ts';
import { isAcceptable, pathIn } from './names.ts';
import type { Place } from './place.ts';

export function startNewFolder(place: Place): void {
  const dialog = byId<HTMLDialogElement>('new-folder');
  const input = byId<HTMLInputElement>('new-folder-name');
  const say = (words: string): void => setText(byId('new-folder-problem'), words);

  byId('new-folder-open').addEventListener('click', () => {
    input.value = '';
    say('');
    dialog.showModal();
  });
  byId('new-folder-cancel').addEventListener('click', () => dialog.close());
  input.addEventListener('input', () => say(''));
  byId('new-folder-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (!isAcceptable(name)) return say(texts().badName);
    dialog.close();
    place.open(pathIn(place.folder, name));
  });
}
