/** The way to the open folder, each folder of which is a link, and the way up. */
import { lastPart } from '../../../server/wire/paths.ts';
import { parentOf } from '../../core/listing.ts';
import { byId, make, setText, shownName } from './dom.ts';
import { onLanguage, texts } from './i18n.ts';
import { showName } from './long-name.ts';
import { type Place, placeAddress } from './place.ts';

/** The most folders that are shown, without the top: of a longer way, the innermost. */
const MOST_SHOWN = 4;

/** @returns a function that shows the way to the folder that is open now. */
export function startPathBar(place: Place): () => void {
  const list = byId('path-list');
  const up = byId<HTMLAnchorElement>('up');
  const into = byId('send-into');

  function show(): void {
    const t = texts();
    const { folder } = place;
    const parents = foldersOf(folder);
    const hidden = parents.slice(0, -MOST_SHOWN).at(-1);
    list.replaceChildren(
      crumb('', t.allFiles, folder === ''),
      ...(hidden === undefined ? [] : [crumb(hidden, '…', false)]),
      ...parents.slice(-MOST_SHOWN).map((path) => crumb(path, lastPart(path), path === folder)),
    );
    byId('path').ariaLabel = t.way;
    const above = parentOf(folder);
    up.hidden = folder === '';
    up.href = placeAddress(above);
    up.dataset['folder'] = above;
    up.ariaLabel = t.upTo(above === '' ? t.allFiles : shownName(lastPart(above)));
    up.title = up.ariaLabel;
    into.hidden = folder === '';
    setText(into, t.sentInto(shownName(folder)));
    document.title = folder === '' ? 'Tidemark' : `${shownName(lastPart(folder))} · Tidemark`;
  }

  document.addEventListener('keydown', (event) => {
    if (event.key !== 'ArrowUp' || !event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (place.folder === '' || document.querySelector('dialog[open]')) return;
    event.preventDefault();
    place.open(parentOf(place.folder));
  });
  onLanguage(show);
  show();
  return show;
}

/** The folders on the way, from the top down. */
function foldersOf(folder: string): string[] {
  const parts = folder === '' ? [] : folder.split('/');
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

function crumb(folder: string, name: string, isOpen: boolean): HTMLLIElement {
  const words = make('bdi', { dir: 'auto' });
  showName(words, name);
  const link = make('a', { className: 'name', href: placeAddress(folder), draggable: false }, words);
  link.dataset['folder'] = folder;
  if (isOpen) link.ariaCurrent = 'page';
  // A long name is shown in two parts, which a screen reader would read as two.
  link.ariaLabel = shownName(name === '…' ? folder : name);
  return make('li', {}, link);
}
