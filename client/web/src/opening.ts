/** What happens when another folder is opened: its list comes, the page scrolls to it, and the focus moves into it. */
import { type Entry, folderEntry, isWithin } from '../../core/listing.ts';
import { lastPart } from '../../../server/wire/paths.ts';
import type { Catalog } from './catalog.ts';
import { byId, shownName } from './dom.ts';
import { formatCount } from './format.ts';
import { texts } from './i18n.ts';
import { announce } from './notices.ts';
import type { Place } from './place.ts';
import type { Windowed } from './windowed.ts';

/** The most entries that are loaded at once where the user comes back to a folder. */
const MOST_AGAIN = 10_000;

/** @returns `begin`, when the folder is opened; `onOpened`, when its list is there. */
export function createOpening(parts: { catalog: Catalog; rows: Windowed<Entry>; place: Pick<Place, 'folder'> }): {
  begin: (from: string) => void;
  onOpened: () => void;
} {
  const { catalog, rows, place } = parts;
  let from = '';
  let hadFocus = false;
  /** How many entries were loaded of each folder when it was left: so many are loaded when the user comes back. */
  const seen = new Map<string, number>();

  /** The entry through which the way down led, where the user comes back up; else the first one. */
  function entryToShow(): { entry: Entry | undefined; isFirst: boolean } {
    const { folder } = place;
    const [first] = catalog.entries;
    if (from === folder || !isWithin(from, folder)) return { entry: first, isFirst: true };
    const below = from.slice(folder === '' ? 0 : folder.length + 1).split('/')[0] ?? '';
    const name = folder === '' ? below : `${folder}/${below}`;
    const { key } = folderEntry({ name, files: 0, bytes: 0 });
    const entry = catalog.entries.find((one) => one.key === key);
    return { entry: entry ?? first, isFirst: entry === undefined };
  }

  return {
    begin: (left) => {
      from = left;
      if (catalog.order.search === '' && !catalog.isOpening)
        seen.set(left, Math.min(MOST_AGAIN, catalog.entries.length));
      const { activeElement } = document;
      // A row that goes takes the focus with it.
      hadFocus = activeElement === document.body || byId('catalog').contains(activeElement);
      catalog.open(place.folder, seen.get(place.folder) ?? 0);
    },
    onOpened: () => {
      const { entry, isFirst } = entryToShow();
      const section = byId('catalog');
      if (isFirst && section.getBoundingClientRect().top < 0) section.scrollIntoView();
      announce(wordsFor(place.folder, catalog));
      rows.reveal(entry && !isFirst ? catalog.entries.indexOf(entry) : null, () => {
        if (!hadFocus) return;
        const row = entry && rows.rowOf(entry);
        const target =
          row?.querySelector<HTMLElement>('.name') ?? byId('path-list').querySelector<HTMLElement>('li:last-child a');
        target?.focus({ preventScroll: true });
      });
    },
  };
}

function wordsFor(folder: string, { entries, isWhole }: Catalog): string {
  const t = texts();
  const name = folder === '' ? t.allFiles : shownName(lastPart(folder));
  return entries.length === 0
    ? `${name}: ${t.emptyFolder}`
    : t.opened(name, formatCount(entries.length) + (isWhole ? '' : '+'), entries.length === 1);
}
