/** The list of files in the page: find, sort, open, copy, rename, delete. */
import type { FileJson } from '../../../server/wire/files.ts';
import { Catalog } from './catalog.ts';
import { copyText } from './clipboard.ts';
import { byId, setText } from './dom.ts';
import { createDeletions } from './file-deleting.ts';
import { startOrder } from './file-order.ts';
import { startRenaming } from './file-renaming.ts';
import { type FileAction, makeFileRow, updateFileRow } from './file-row.ts';
import { formatCount, formatSize } from './format.ts';
import { onLanguage, texts } from './i18n.ts';
import { notify } from './notices.ts';
import { download, openPreview } from './preview.ts';
import { sentenceOf } from './refusal.ts';
import type { Selection } from './selection.ts';
import { shareFiles } from './share-dialog.ts';
import { startSelection } from './selection-bar.ts';
import { createWindowed } from './windowed.ts';

const SEARCH_AFTER_MS = 200;

/** The list as the rest of the page sees it. */
export interface FilesView {
  reload(): Promise<void>;
  /** Shows a file that was published or renamed. */
  put(file: FileJson): void;
  /** Shows a file that this page has just sent. Undoes its deletion where that still waits. */
  putOwn(file: FileJson): void;
  /** Removes a file that was deleted. */
  gone(id: string): void;
}

export function startFilesView(): FilesView {
  const catalog = new Catalog({
    onChange: () => {
      updateNote(catalog);
      rows.refresh();
      bar.update();
    },
    onInserted: (index) => rows.inserted(index),
    onRenewed: (file) => rows.refreshItem(file),
  });
  const rows = createWindowed<FileJson>({
    list: byId<HTMLUListElement>('file-list'),
    items: () => catalog.files,
    keyOf: (file) => file.id,
    make: ({ id }) =>
      makeFileRow(
        (action) => withFile(id, (file) => act(action, file, { rename: renamings.begin, remove })),
        (isSelected, isRange) =>
          withFile(id, (file) => selection.set(file, isSelected, isRange ? catalog.files : undefined)),
      ),
    update: (row, file) => {
      updateFileRow(row, file, selection.has(file.id));
      if (!renamings.isRunning(file)) row.querySelector('form')?.remove();
    },
    onNearEnd: () => void catalog.more(),
  });
  const deletions = createDeletions(catalog, (id) => withFile(id, (file) => focusIn(rows.rowOf(file), '.act.delete')));
  const bar = startSelection({
    listed: () => catalog.files,
    isWhole: () => catalog.isWhole,
    onChange: () => rows.refresh(),
    remove: (files) => deletions.add(...files),
  });
  const { selection } = bar;
  const renamings = createRenamings(catalog, (file) => rows.rowOf(file));
  const writeOrder = startOrder((order) => catalog.setOrder(order));
  // What a search does not show is not selected either: nothing is deleted that nobody sees.
  const writeSearch = startSearch(catalog, () => selection.clear());

  /** Runs something with the file as it is now; nothing where the file has left the list. */
  function withFile(id: string, run: (file: FileJson) => void): void {
    const file = catalog.files.find((one) => one.id === id);
    if (file) run(file);
  }

  function remove(file: FileJson): void {
    const row = rows.rowOf(file);
    focusIn(row?.nextElementSibling ?? row?.previousElementSibling, 'button.name');
    selection.drop([file.id]);
    deletions.add(file);
  }

  function applyTexts(): void {
    writeSearch();
    writeOrder();
    updateNote(catalog);
    rows.refresh();
    bar.update();
  }

  onLanguage(applyTexts);
  applyTexts();
  void catalog.reload();
  return {
    reload: () => catalog.reload().then(() => dropUnlisted(selection, catalog)),
    put: (file) => catalog.put(file),
    putOwn: (file) => {
      deletions.takeBack(file.id);
      catalog.put(file);
    },
    gone: (id) => {
      selection.drop([id]);
      catalog.gone(id);
    },
  };
}

/** One file at a time is renamed, in its row. */
function createRenamings(
  catalog: Catalog,
  rowOf: (file: FileJson) => HTMLLIElement | undefined,
): { begin: (file: FileJson) => void; isRunning: (file: FileJson) => boolean } {
  let renaming: string | null = null;
  return {
    isRunning: ({ id }) => renaming === id,
    begin: (file) => {
      const row = rowOf(file);
      if (!row) return;
      renaming = file.id;
      const onEnd = (): void => {
        if (renaming === file.id) renaming = null;
      };
      startRenaming(row, file, { onRenamed: (renamed) => catalog.put(renamed), onEnd });
    },
  };
}

/** Takes files off the selection that have gone without an event. Where the list is not whole, it does not say. */
function dropUnlisted(selection: Selection, { isWhole, files }: Catalog): void {
  if (!isWhole || selection.count === 0) return;
  const there = new Set(files.map(({ id }) => id));
  selection.drop(selection.files.map(({ id }) => id).filter((id) => !there.has(id)));
}

/** Carries out the action of a row's button. The view does what changes the list: rename and delete. */
function act(
  action: FileAction,
  file: FileJson,
  view: { rename: (file: FileJson) => void; remove: (file: FileJson) => void },
): void {
  switch (action) {
    case 'open':
      return void openPreview(file);
    case 'download':
      return void download(file);
    case 'share':
      return shareFiles([file]);
    case 'address':
      return void copy(file.url);
    case 'md5':
      return void copy(file.md5);
    case 'rename':
      return view.rename(file);
    case 'delete':
      return view.remove(file);
  }
}

function focusIn(row: Element | null | undefined, selector: string): void {
  row?.querySelector<HTMLButtonElement>(selector)?.focus({ preventScroll: true });
}

async function copy(text: string): Promise<void> {
  const copied = await copyText(text);
  notify(copied ? texts().copied(text) : texts().copyFailed);
}

/** @returns a function that writes the field's texts again, after the language has changed. @param onSearch - before the list changes. */
function startSearch(catalog: Catalog, onSearch: () => void): () => void {
  const search = byId<HTMLInputElement>('search');
  let timer: number | undefined;
  search.addEventListener('input', () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      onSearch();
      catalog.setOrder({ search: search.value.trim() });
    }, SEARCH_AFTER_MS);
  });
  return () => {
    search.placeholder = texts().search;
    search.ariaLabel = texts().search;
  };
}

/** Updates the note in the place of the list, and the number of files. */
function updateNote(catalog: Catalog): void {
  const t = texts();
  const note = byId('files-note');
  byId('catalog').hidden = false;
  const why = catalog.problem && catalog.problem.status > 0 ? `${sentenceOf(catalog.problem)} ` : '';
  const words = { loading: t.loading, lost: why + t.listLost, locked: t.needsToken, ready: '' }[catalog.state];
  const none = catalog.files.length === 0 ? (catalog.order.search ? t.noMatch : t.empty) : '';
  setText(note, catalog.state === 'ready' ? none : words);
  note.hidden = note.textContent === '';
  byId('list-head').hidden = catalog.files.length === 0;
  setText(byId('files-total'), totalWords(catalog));
}

/** How many files there are; during a search, how many were found so far. */
function totalWords({ total, files, order, state, isWhole }: Catalog): string {
  const t = texts();
  if (order.search) return state === 'ready' ? t.found(formatCount(files.length) + (isWhole ? '' : '+')) : '';
  if (total === null || total.files === 0) return '';
  return t.total(formatCount(total.files), formatSize(total.bytes), total.files === 1);
}
