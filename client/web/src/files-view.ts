/** The catalog as it is shown: find, sort, open, copy, rename, delete. */
import { deleteFile, type FileJson, renameFile } from './api.ts';
import { createCatalog, type ListOrder } from './catalog.ts';
import { byId, make, setText, shownName } from './dom.ts';
import { formatSize, formatTime } from './format.ts';
import { onLanguage, type PlainText, texts } from './i18n.ts';
import { isAcceptable } from './names.ts';
import { notify } from './notices.ts';
import { download, openPreview, previewKind } from './preview.ts';
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

/** The list as the rest of the page sees it. */
export interface FilesView {
  reload(): Promise<void>;
  /** It was published or renamed. */
  put(file: FileJson): void;
  /** This page has just sent it: it is wanted, also where it was just deleted here. */
  putOwn(file: FileJson): void;
  /** It was deleted. */
  take(id: string): void;
}

export function startFilesView(): FilesView {
  /** The file that is being renamed. */
  let renaming: string | null = null;
  /** Deletions that can still be called back, by the file's id. */
  const callBack = new Map<string, () => void>();

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
    const md5 = make('button', { type: 'button', className: 'md5 plain' });
    const buttons = ['download', 'copy', 'rename', 'delete'].map((action) =>
      make('button', { type: 'button', className: `plain act ${action}` }),
    );
    const actions: ((file: FileJson) => void)[] = [
      (file) => void openPreview(file),
      (file) => void copy(file.md5),
      (file) => void download(file),
      (file) => void copy(file.url),
      beginRenaming,
      remove,
    ];
    [open, md5, ...buttons].forEach((button, index) => {
      button.addEventListener('click', () => {
        const file = catalog.files.find((one) => one.id === id);
        if (file) actions[index]?.(file);
      });
    });
    return make(
      'li',
      { className: 'file' },
      make('div', { className: 'file-text' }, open, make('p', { className: 'facts' }, make('span'), md5)),
      make('div', { className: 'row-buttons' }, ...buttons),
    );
  }

  function updateRow(row: HTMLLIElement, file: FileJson): void {
    const t = texts();
    const name = shownName(file.name);
    const [open, facts, md5] = [
      row.querySelector<HTMLButtonElement>('button.name'),
      row.querySelector('.facts span'),
      row.querySelector<HTMLButtonElement>('.md5'),
    ];
    if (!open || !facts || !md5) return;
    if (open.firstElementChild) setText(open.firstElementChild, name);
    open.title = name;
    open.ariaLabel = previewKind(file) ? t.preview(name) : t.ofFile(t.download, name);
    setText(facts, `${formatSize(file.size)} · ${formatTime(file.uploadedAt)}`);
    const short = file.md5.slice(0, 8);
    setText(md5, short);
    md5.title = t.copyMd5(file.md5);
    md5.ariaLabel = t.copyMd5(short);
    const labels = [t.download, t.copyAddress, t.rename, t.deleteFile];
    row.querySelectorAll<HTMLButtonElement>('.act').forEach((button, index) => {
      const label = labels[index] ?? '';
      button.title = label;
      button.ariaLabel = t.ofFile(label, name);
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
      } catch {
        setText(problem, t.renameFailed);
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

  /** Gone from the list at once, from the service when nobody has called it back. */
  function remove(file: FileJson): void {
    const t = texts();
    const row = rows.rowOf(file);
    const next = (row?.nextElementSibling ?? row?.previousElementSibling)?.querySelector<HTMLButtonElement>(
      'button.name',
    );
    next?.focus({ preventScroll: true });
    const putBack = catalog.take(file.id);
    const name = shownName(file.name);
    const undo = (): void => {
      callBack.delete(file.id);
      putBack();
    };
    const act = notify(t.deleted(name), { label: t.undo, run: undo }, () => {
      callBack.delete(file.id);
      deleteFile(file.id).catch((error: unknown) => {
        if ((error as { status?: number }).status === 404) return;
        putBack();
        notify(texts().deleteFailed(name));
      });
    });
    callBack.set(file.id, act);
  }

  function updateNote(): void {
    const t = texts();
    const note = byId('files-note');
    byId('catalog').hidden = false;
    const words = { loading: t.loading, lost: t.listLost, locked: t.needsToken, ready: '' }[catalog.state];
    const none = catalog.files.length === 0 ? (catalog.order.search ? t.noMatch : t.empty) : '';
    setText(note, catalog.state === 'ready' ? none : words);
    note.hidden = note.textContent === '';
  }

  const search = byId<HTMLInputElement>('search');
  let timer: number | undefined;
  search.addEventListener('input', () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => catalog.setOrder({ search: search.value.trim() }), SEARCH_AFTER_MS);
  });
  const sort = byId<HTMLSelectElement>('sort');
  sort.addEventListener('change', () => {
    const chosen = ORDERS[sort.selectedIndex];
    if (chosen) catalog.setOrder({ sort: chosen.sort, order: chosen.order });
  });
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
    updateNote();
    rows.refresh();
  }

  void catalog.reload();
  return {
    reload: () => catalog.reload(),
    put: (file) => catalog.put(file),
    putOwn: (file) => {
      callBack.get(file.id)?.();
      catalog.put(file);
    },
    take: (id) => void catalog.take(id),
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
