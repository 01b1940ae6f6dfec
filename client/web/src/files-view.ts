/** The catalog as it is shown: find, sort, open, copy, rename, delete. */
import type { FileJson } from '../../../server/wire/files.ts';
import { deleteFile, renameFile } from './api.ts';
import { createCatalog, type ListOrder } from './catalog.ts';
import { byId, make, setText, shownName } from './dom.ts';
import { formatCount, formatSize, formatWhen } from './format.ts';
import { onLanguage, type PlainText, texts } from './i18n.ts';
import { isAcceptable } from './names.ts';
import { showName } from './long-name.ts';
import { createUndoable, notify } from './notices.ts';
import { download, openPreview, previewKind } from './preview.ts';
import { sentenceOf, sentenceOfError } from './refusal.ts';
import { createWindowed } from './windowed.ts';

const ORDERS: { key: PlainText; sort: ListOrder['sort']; order: ListOrder['order'] }[] = [
  { key: 'newest', sort: 'uploaded', order: 'desc' },
  { key: 'oldest', sort: 'uploaded', order: 'asc' },
  { key: 'nameUp', sort: 'name', order: 'asc' },
  { key: 'nameDown', sort: 'name', order: 'desc' },
  { key: 'largest', sort: 'size', order: 'desc' },
  { key: 'smallest', sort: 'size', order: 'asc' },
];
const SEARCH_AFTER_MS = 200;
/** In the order in which their buttons stand. */
const ACTIONS = ['download', 'address', 'md5', 'rename', 'delete'] as const;
/** The columns that can be sorted by, each with its orders as they stand in ORDERS: the first, and the other way round. */
const COLUMNS = [
  { id: 'by-name', label: 'name', orders: [2, 3] },
  { id: 'by-size', label: 'size', orders: [4, 5] },
  { id: 'by-time', label: 'uploaded', orders: [0, 1] },
] as const;

/** The list as the rest of the page sees it. */
export interface FilesView {
  reload(): Promise<void>;
  /** It was published or renamed. */
  put(file: FileJson): void;
  /** This page has just sent it: it is wanted, also where it was just deleted here. */
  putOwn(file: FileJson): void;
  /** It was deleted. */
  gone(id: string): void;
}

export function startFilesView(): FilesView {
  /** The file that is being renamed. */
  let renaming: string | null = null;
  /** What is off the list, and still at the service, by the file's id. */
  const deleting = new Map<string, { file: FileJson; putBack: () => void }>();
  const deletions = createUndoable<string>({
    words: (ids) => texts().deleted(ids.map((id) => shownName(deleting.get(id)?.file.name ?? ''))),
    label: () => texts().undo,
    undo: (id) => {
      const { putBack } = deleting.get(id) ?? {};
      deleting.delete(id);
      putBack?.();
    },
    focus: (id) => {
      const file = catalog.files.find((one) => one.id === id);
      if (file) rows.rowOf(file)?.querySelector<HTMLButtonElement>('.act.delete')?.focus({ preventScroll: true });
    },
    carryOut: (id) => void carryOut(id),
  });

  const catalog = createCatalog({
    onChange: () => {
      updateNote();
      rows.refresh();
    },
    onInserted: (index) => rows.inserted(index),
    onRenewed: (file) => rows.refreshItem(file),
  });
  const rows = createWindowed<FileJson>({
    list: byId<HTMLUListElement>('file-list'),
    items: () => catalog.files,
    keyOf: (file) => file.id,
    make: makeRow,
    update: updateRow,
    onNearEnd: () => void catalog.more(),
  });

  function makeRow({ id }: FileJson): HTMLLIElement {
    const open = make('button', { type: 'button', className: 'name' }, make('bdi', { dir: 'auto' }));
    const buttons = ACTIONS.map((action) =>
      make('button', { type: 'button', className: `plain act ${action}` }, make('span')),
    );
    const actions: ((file: FileJson) => void)[] = [
      (file) => void openPreview(file),
      (file) => void download(file),
      (file) => void copy(file.url),
      (file) => void copy(file.md5),
      beginRenaming,
      remove,
    ];
    [open, ...buttons].forEach((button, index) => {
      button.addEventListener('click', () => {
        const file = catalog.files.find((one) => one.id === id);
        if (file) actions[index]?.(file);
      });
    });
    return make(
      'li',
      { className: 'file' },
      open,
      make('span', { className: 'size' }),
      make('time', { className: 'when' }),
      make('div', { className: 'row-buttons' }, ...buttons),
    );
  }

  function updateRow(row: HTMLLIElement, file: FileJson): void {
    const t = texts();
    const name = shownName(file.name);
    const [open, bdi, size, when] = [
      row.querySelector<HTMLButtonElement>('button.name'),
      row.querySelector<HTMLElement>('button.name bdi'),
      row.querySelector<HTMLElement>('.size'),
      row.querySelector<HTMLTimeElement>('time'),
    ];
    if (!open || !bdi || !size || !when) return;
    showName(bdi, file.name);
    open.ariaLabel = previewKind(file) ? t.preview(name) : t.ofFile(t.download, name);
    setText(size, formatSize(file.size));
    size.title = t.bytes(formatCount(file.size));
    const { short, whole } = formatWhen(file.uploadedAt);
    setText(when, short);
    when.title = whole;
    when.dateTime = file.uploadedAt;
    const md5 = t.copyMd5(file.md5.slice(0, 8));
    const labels = [
      [t.download, t.ofFile(t.download, name)],
      [t.address, t.ofFile(t.copyAddress, name)],
      ['MD5', md5],
      [t.rename, t.ofFile(t.rename, name)],
      [t.deleteFile, t.ofFile(t.deleteFile, name)],
    ];
    row.querySelectorAll<HTMLButtonElement>('.act').forEach((button, index) => {
      const [label = '', spoken = ''] = labels[index] ?? [];
      if (button.firstElementChild) setText(button.firstElementChild, label);
      button.ariaLabel = spoken;
      button.title = button.classList.contains('md5') ? t.copyMd5(file.md5) : spoken;
    });
    if (renaming !== file.id) row.querySelector('form')?.remove();
  }

  async function copy(text: string): Promise<void> {
    const copied = await copyText(text);
    notify(copied ? texts().copied(text) : texts().copyFailed);
  }

  function beginRenaming(file: FileJson): void {
    const row = rows.rowOf(file);
    if (!row) return;
    const t = texts();
    renaming = file.id;
    const input = make('input', {
      value: file.name,
      ariaLabel: t.newName(shownName(file.name)),
      spellcheck: false,
      dir: 'auto',
    });
    const problem = make('p', { className: 'problem', attributes: { role: 'alert' } });
    const form = make('form', { className: 'rename' }, input, problem);
    row.querySelector('form')?.remove();
    row.append(form);
    input.focus();
    const dot = file.name.lastIndexOf('.');
    input.setSelectionRange(0, dot > 0 ? dot : file.name.length);
    let ended = false;
    const end = (): void => {
      // Taking the form away takes the focus from it, which would save once more.
      if (ended) return;
      ended = true;
      if (renaming === file.id) renaming = null;
      form.remove();
      row.querySelector<HTMLButtonElement>('.rename')?.focus({ preventScroll: true });
    };
    let running = false;
    const save = async (): Promise<void> => {
      const name = input.value.trim();
      if (running || ended || !form.isConnected) return;
      if (name === file.name) return end();
      if (!isAcceptable(name)) return setText(problem, t.badName);
      running = true;
      try {
        catalog.put(await renameFile(file.id, name));
        end();
      } catch (error) {
        setText(problem, t.renameFailed(sentenceOfError(error)));
      }
      running = false;
    };
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') end();
    });
    input.addEventListener('blur', () => void save());
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void save();
    });
  }

  /** Gone from the list at once, from the service when nobody has undone it. */
  function remove(file: FileJson): void {
    const row = rows.rowOf(file);
    const next = (row?.nextElementSibling ?? row?.previousElementSibling)?.querySelector<HTMLButtonElement>(
      'button.name',
    );
    next?.focus({ preventScroll: true });
    deleting.set(file.id, { file, putBack: catalog.take(file.id) });
    deletions.add(file.id);
  }

  async function carryOut(id: string): Promise<void> {
    const { file, putBack } = deleting.get(id) ?? {};
    deleting.delete(id);
    try {
      await deleteFile(id);
      catalog.gone(id);
    } catch (error) {
      if ((error as { status?: number }).status === 404) return catalog.gone(id);
      putBack?.();
      notify(texts().deleteFailed(shownName(file?.name ?? ''), sentenceOfError(error)));
    }
  }

  function updateNote(): void {
    const t = texts();
    const note = byId('files-note');
    byId('catalog').hidden = false;
    const why = catalog.problem && catalog.problem.status > 0 ? `${sentenceOf(catalog.problem)} ` : '';
    const words = { loading: t.loading, lost: why + t.listLost, locked: t.needsToken, ready: '' }[catalog.state];
    const none = catalog.files.length === 0 ? (catalog.order.search ? t.noMatch : t.empty) : '';
    setText(note, catalog.state === 'ready' ? none : words);
    note.hidden = note.textContent === '';
    byId('list-head').hidden = catalog.files.length === 0;
    setText(byId('files-total'), totalWords());
  }

  /** How many there are; of those that a search finds, how many are known of. */
  function totalWords(): string {
    const t = texts();
    const { total, files, order } = catalog;
    if (order.search)
      return catalog.state === 'ready' ? t.found(formatCount(files.length) + (catalog.isWhole ? '' : '+')) : '';
    if (total === null || total.files === 0) return '';
    return t.total(formatCount(total.files), formatSize(total.bytes), total.files === 1);
  }

  function sortBy(index: number): void {
    const chosen = ORDERS[index];
    if (!chosen) return;
    sort.selectedIndex = index;
    updateColumns();
    catalog.setOrder({ sort: chosen.sort, order: chosen.order });
  }

  /** The columns' heads say by which of them the list is sorted, and what a click does. */
  function updateColumns(): void {
    const t = texts();
    for (const { id, label, orders } of COLUMNS) {
      const button = byId<HTMLButtonElement>(id);
      const current = orders.findIndex((index) => index === sort.selectedIndex);
      const next = ORDERS[orders[current === 0 ? 1 : 0]]?.key ?? 'newest';
      setText(button, t[label]);
      button.dataset['sorted'] = current < 0 ? '' : (ORDERS[sort.selectedIndex]?.order ?? '');
      button.ariaLabel = t.sortTo(t[label], t[next]);
      button.title = t[next];
    }
  }

  const search = byId<HTMLInputElement>('search');
  let timer: number | undefined;
  search.addEventListener('input', () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => catalog.setOrder({ search: search.value.trim() }), SEARCH_AFTER_MS);
  });
  const sort = byId<HTMLSelectElement>('sort');
  sort.addEventListener('change', () => sortBy(sort.selectedIndex));
  for (const { id, orders } of COLUMNS) {
    byId(id).addEventListener('click', () => sortBy(orders[sort.selectedIndex === orders[0] ? 1 : 0]));
  }
  onLanguage(applyTexts);
  applyTexts();

  function applyTexts(): void {
    const t = texts();
    search.placeholder = t.search;
    search.ariaLabel = t.search;
    sort.ariaLabel = t.sort;
    const index = Math.max(0, sort.selectedIndex);
    sort.replaceChildren(...ORDERS.map(({ key }) => make('option', {}, t[key])));
    sort.selectedIndex = index;
    updateColumns();
    updateNote();
    rows.refresh();
  }

  void catalog.reload();
  return {
    reload: () => catalog.reload(),
    put: (file) => catalog.put(file),
    putOwn: (file) => {
      deletions.takeBack(file.id);
      catalog.put(file);
    },
    gone: (id) => catalog.gone(id),
  };
}

/** The clipboard's own interface is there in secure contexts alone; plain HTTP from afar is none. */
async function copyText(text: string): Promise<boolean> {
  try {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      return true;
    }
  } catch {
    // Refused: try the older way.
  }
  const area = make('textarea', { value: text, readOnly: true, className: 'unseen' });
  document.body.append(area);
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  return copied;
}
