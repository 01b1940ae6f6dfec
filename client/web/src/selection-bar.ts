/** What can be done with the selected files and folders: a bar at the lower edge, and the box that selects all, in the head of the list. */
import type { Entry } from '../../core/listing.ts';
import { archiveOf, downloadArchive, MOST_ARCHIVED } from './archive.ts';
import { byId, setText } from './dom.ts';
import { formatCount, formatSize } from './format.ts';
import { texts } from './i18n.ts';
import { isFewEnough } from './moving.ts';
import { announce, notify } from './notices.ts';
import { createSelection, type Selection } from './selection.ts';
import { shareEntries } from './share-dialog.ts';

/** The most entries that are deleted at once: each is a request of its own, and comes back to its place where that is undone. */
const MOST_DELETED = 1_000;

export interface SelectionBar {
  readonly selection: Selection;
  /** Shows the selection as it is, in the language as it is. */
  update(): void;
}

export interface SelectionParts {
  /** The entries in the list. */
  listed: () => readonly Entry[];
  /** The path of the open folder. */
  folder: () => string;
  /** Whether there are no more at the service. */
  isWhole: () => boolean;
  onChange: () => void;
  /** Deletes entries, which are not selected any more. */
  remove: (entries: readonly Entry[]) => void;
  /** Asks where entries are to be moved. */
  move: (entries: readonly Entry[]) => void;
}

export function startSelection(parts: SelectionParts): SelectionBar {
  const { listed } = parts;
  const selection = createSelection(() => {
    parts.onChange();
    update();
  });
  const bar = byId('selection');
  const all = byId<HTMLInputElement>('select-all');
  let told = 0;

  byId('selection-download').addEventListener('click', () => {
    if (selection.files > MOST_ARCHIVED) notify(texts().tooManyToPack(formatCount(MOST_ARCHIVED)));
    else void downloadArchive(archiveOf(selection.entries, parts.folder()));
  });
  byId('selection-delete').addEventListener('click', () => {
    if (selection.count > MOST_DELETED) return void notify(texts().tooManyToDelete(formatCount(MOST_DELETED)));
    const { entries } = selection;
    selection.clear();
    parts.remove(entries);
    focusList();
  });
  byId('selection-move').addEventListener('click', () => {
    if (isFewEnough(selection.count)) parts.move(selection.entries);
  });
  byId('selection-share').addEventListener('click', () => shareEntries(selection.entries));
  byId('selection-all').addEventListener('click', () => selection.setAll(listed()));
  byId('selection-clear').addEventListener('click', () => {
    selection.clear();
    focusList();
  });
  all.addEventListener('change', () => {
    if (all.checked) selection.setAll(listed());
    else selection.clear();
  });
  // Escape takes the selection back, as in every list of files, unless it closes something else.
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || event.defaultPrevented || selection.count === 0) return;
    if (document.querySelector('dialog[open]') || (event.target as Element).closest('input:not([type="checkbox"])'))
      return;
    selection.clear();
    focusList();
  });

  /** The bar is gone, and the focus with it: it moves to the list. */
  function focusList(): void {
    if (document.activeElement !== document.body && !bar.contains(document.activeElement)) return;
    document.querySelector<HTMLElement>('#file-list input.pick')?.focus({ preventScroll: true });
  }

  function update(): void {
    const t = texts();
    const { count, bytes } = selection;
    const words = t.selected(formatCount(count), formatSize(bytes));
    bar.hidden = count === 0;
    document.body.classList.toggle('selecting', count > 0);
    bar.ariaLabel = t.selection;
    setText(byId('selection-words'), words);
    const isAll = count >= listed().length;
    byId('selection-all').hidden = isAll;
    setText(byId('selection-all'), parts.isWhole() ? t.selectAll : t.selectFirst(formatCount(listed().length)));
    all.ariaLabel = t.selectAll;
    all.title = t.selectAll;
    all.checked = count > 0 && isAll;
    all.indeterminate = count > 0 && !isAll;
    if (count !== told) announce(count > 0 ? words : t.nothingSelected);
    told = count;
  }

  return { selection, update };
}
