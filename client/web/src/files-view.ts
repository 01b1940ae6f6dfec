/** The list of files and folders in the page: open, find, sort, copy, rename, move, delete. */
import type { FileJson } from '../../../server/wire/files.ts';
import { type Entry, fileEntry, isWithin, parentOf, pathOf } from '../../core/listing.ts';
import { archiveOf, downloadArchive } from './archive.ts';
import { Catalog } from './catalog.ts';
import { createEntryRenaming } from './entry-renaming.ts';
import { copyText } from './clipboard.ts';
import { createDeletions, type Deletions } from './file-deleting.ts';
import { startOrder } from './file-order.ts';
import { type FileAction, makeFileRow, updateFileRow } from './file-row.ts';
import { showCatalogState } from './files-state.ts';
import { startSearch } from './files-search.ts';
import { type FolderAction, makeFolderRow, updateFolderRow } from './folder-row.ts';
import { byId } from './dom.ts';
import { onLanguage, texts } from './i18n.ts';
import { startMoveDialog } from './move-dialog.ts';
import { createMoving, type Move } from './moving.ts';
import { startNewFolder } from './new-folder.ts';
import { notify } from './notices.ts';
import { createOpening } from './opening.ts';
import { startPathBar } from './path-bar.ts';
import { type Place, placeAddress } from './place.ts';
import { download, openPreview } from './preview.ts';
import { startDragging } from './row-dragging.ts';
import type { Selection } from './selection.ts';
import { shareEntries } from './share-dialog.ts';
import { startSelection } from './selection-bar.ts';
import { createWindowed, type Windowed } from './windowed.ts';

/** The list as the rest of the page sees it. */
export interface FilesView {
  reload(): Promise<void>;
  /** Another folder was opened: the list of this one comes. */
  opened(from: string): void;
  /** Shows a file that was published or renamed. */
  put(file: FileJson, how: 'published' | 'renamed'): void;
  /** Shows a file that this page has just sent. Undoes its deletion where that still waits. */
  putOwn(file: FileJson): void;
  /** Removes a file that was deleted. */
  gone(id: string): void;
  /** A folder has another path. */
  moved(from: string, to: string): void;
}

/** @param place - the folder that is open. */
export function startFilesView(place: Place): FilesView {
  const catalog = new Catalog(
    {
      onChange: () => {
        showCatalogState(catalog);
        renewSelection(selection, catalog);
        rows.refresh();
        bar.update();
      },
      onInserted: (index) => rows.inserted(index),
      onRenewed: (file) => {
        rows.refreshItem(fileEntry(file));
        selection.renew([fileEntry(file)]);
      },
      onLeft: (id) => selection.drop([id]),
      onLoaded: (files) => selection.renew(files.map(fileEntry)),
      onOpened: () => {
        selection.clear();
        showCatalogState(catalog);
        opening.onOpened();
      },
    },
    place.folder,
  );
  const rows: Windowed<Entry> = createEntryRows(catalog, () => ({ selection, renaming, remove }));
  const deletions = createDeletions(catalog, (key) => focusIn(rows.rowOf(entryOf(catalog, key)), '.act.delete'));
  const move = createMoving(catalog, deletions);
  const askMove = startMoveDialog(move);
  const bar = startSelection({
    // Until the list of another folder is there, those of the one before are not to be selected.
    listed: () => (catalog.isOpening ? [] : catalog.entries),
    folder: () => (catalog.order.search === '' ? place.folder : ''),
    isWhole: () => catalog.isWhole,
    onChange: () => rows.refresh(),
    remove: (entries) => deletions.add(...entries),
    move: (entries) => askMove(entries, place.folder, () => selection.clear()),
  });
  const { selection } = bar;
  const renaming = createEntryRenaming(catalog, deletions, (entry) => rows.rowOf(entry));
  const writeOrder = startOrder((order) => catalog.setOrder(order));
  // What a search does not show is not selected either: nothing is deleted that nobody sees.
  const search = startSearch(catalog, () => selection.clear());
  const showPath = startPathBar(place);
  const opening = createOpening({ catalog, rows, place });

  function remove(entry: Entry): void {
    const row = rows.rowOf(entry);
    focusIn(row?.nextElementSibling ?? row?.previousElementSibling, '.name');
    selection.drop([entry.key]);
    deletions.add(entry);
  }

  function opened(from: string): void {
    selection.clear();
    search.clear();
    showPath();
    opening.begin(from);
  }

  function applyTexts(): void {
    search.write();
    writeOrder();
    showCatalogState(catalog);
    rows.refresh();
    bar.update();
  }

  startNewFolder(place);
  endSearchByLinks(catalog, place, () => opened(place.folder));
  startEntryDragging(catalog, selection, move);
  onLanguage(applyTexts);
  applyTexts();
  void catalog.reload();
  return createView({ catalog, place, selection, deletions, opened });
}

/** What the page does to the list. */
function createView(parts: {
  catalog: Catalog;
  place: Place;
  selection: Selection;
  deletions: Deletions;
  opened: (from: string) => void;
}): FilesView {
  const { catalog, place, selection, deletions, opened } = parts;
  return {
    reload: () => catalog.reload().then(() => dropUnlisted(selection, catalog)),
    opened,
    put: (file, how) => catalog.put(file, how),
    putOwn: (file) => {
      deletions.takeBack(file);
      catalog.put(file, 'published');
    },
    gone: (id) => {
      selection.drop([id]);
      catalog.gone(id);
    },
    moved: (from, to) => {
      if (isWithin(place.folder, from)) place.follow(to + place.folder.slice(from.length));
      else catalog.moved(from, to);
    },
  };
}

function entryOf(catalog: Catalog, key: string): Entry | undefined {
  return catalog.entries.find((one) => one.key === key);
}

/** The rows of the list, which know their entries by key: what is known of an entry changes. */
function createEntryRows(
  catalog: Catalog,
  parts: () => {
    selection: Selection;
    renaming: ReturnType<typeof createEntryRenaming>;
    remove: (entry: Entry) => void;
  },
): Windowed<Entry> {
  /** Runs something with the entry as it is now; nothing where it has left the list. */
  function withEntry(key: string, run: (entry: Entry) => void): void {
    const entry = entryOf(catalog, key);
    if (entry) run(entry);
  }

  function makeRow({ key, ...made }: Entry): HTMLLIElement {
    const view = {
      rename: (entry: Entry) => parts().renaming.begin(entry),
      remove: (entry: Entry) => parts().remove(entry),
    };
    const pick = (isSelected: boolean, isRange: boolean): void =>
      withEntry(key, (entry) => parts().selection.set(entry, isSelected, isRange ? catalog.entries : undefined));
    const row =
      made.kind === 'folder'
        ? makeFolderRow(made.folder, (action) => withEntry(key, (entry) => actOnFolder(action, entry, view)), pick)
        : makeFileRow((action) => withEntry(key, (entry) => actOnFile(action, entry, view)), pick);
    row.dataset['key'] = key;
    return row;
  }

  return createWindowed<Entry>({
    list: byId<HTMLUListElement>('file-list'),
    items: () => catalog.entries,
    keyOf: ({ key }) => key,
    make: makeRow,
    update: (row, entry) => {
      const { selection, renaming } = parts();
      const isSelected = selection.has(entry.key);
      if (entry.kind === 'folder') updateFolderRow(row, entry.folder, isSelected);
      else updateFileRow(row, entry.file, isSelected, catalog.order.search !== '');
      if (!renaming.isRunning(entry)) row.querySelector('form')?.remove();
    },
    onNearEnd: () => void catalog.more(),
  });
}

/** A link to the folder that is open changes no address, but it ends a search. */
function endSearchByLinks(catalog: Catalog, place: Place, end: () => void): void {
  byId('catalog').addEventListener('click', (event) => {
    const link = (event.target as Element).closest<HTMLAnchorElement>('a[href^="#/"]');
    if (link?.getAttribute('href') !== placeAddress(place.folder) || catalog.order.search === '') return;
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    end();
  });
}

/** Rows can be dragged: with all that is selected, where they are. */
function startEntryDragging(catalog: Catalog, selection: Selection, move: Move): void {
  startDragging({
    draggedBy: (row) => {
      const entry = entryOf(catalog, row.dataset['key'] ?? '');
      if (!entry) return [];
      return selection.has(entry.key) ? selection.entries : [entry];
    },
    move,
    onMoved: () => selection.clear(),
  });
}

/** Takes entries off the selection that have gone without an event. Where the list is not whole, it does not say. */
function dropUnlisted(selection: Selection, { isWhole, entries }: Catalog): void {
  if (!isWhole || selection.count === 0) return;
  const there = new Set(entries.map(({ key }) => key));
  selection.drop(selection.entries.map(({ key }) => key).filter((key) => !there.has(key)));
}

/** The folders that are selected have other totals by now, or are gone. */
function renewSelection(selection: Selection, { entries, isOpening, order }: Catalog): void {
  if (selection.count === 0 || isOpening || order.search !== '') return;
  const selected = selection.entries.filter(({ kind }) => kind === 'folder');
  if (selected.length === 0) return;
  const folders: Entry[] = [];
  for (const entry of entries) {
    if (entry.kind !== 'folder') break;
    folders.push(entry);
  }
  selection.renew(folders);
  const there = new Set(folders.map(({ key }) => key));
  selection.drop(selected.map(({ key }) => key).filter((key) => !there.has(key)));
}

/** What the view itself does, as it changes the list. */
interface ViewActions {
  rename: (entry: Entry) => void;
  remove: (entry: Entry) => void;
}

/** Carries out the action of a file's button. */
function actOnFile(action: FileAction, entry: Entry, view: ViewActions): void {
  if (entry.kind !== 'file') return;
  const { file } = entry;
  switch (action) {
    case 'open':
      return void openPreview(file);
    case 'download':
      return void download(file);
    case 'share':
      return shareEntries([entry]);
    case 'address':
      return void copy(file.url);
    case 'md5':
      return void copy(file.md5);
    case 'rename':
      return view.rename(entry);
    case 'delete':
      return view.remove(entry);
  }
}

/** Carries out the action of a folder's button. */
function actOnFolder(action: FolderAction, entry: Entry, view: ViewActions): void {
  switch (action) {
    case 'download':
      return void downloadArchive(archiveOf([entry], parentOf(pathOf(entry))));
    case 'share':
      return shareEntries([entry]);
    case 'rename':
      return view.rename(entry);
    case 'delete':
      return view.remove(entry);
  }
}

function focusIn(row: Element | null | undefined, selector: string): void {
  row?.querySelector<HTMLElement>(selector)?.focus({ preventScroll: true });
}

async function copy(text: string): Promise<void> {
  const copied = await copyText(text);
  notify(copied ? texts().copied(text) : texts().copyFailed);
}
