/** The row of a folder of the catalog: it stands before the files, and its name is a link to it. */
import type { FolderJson } from '../../../server/wire/files.ts';
import { lastPart } from '../../../server/wire/paths.ts';
import { make, setText, shownName } from './dom.ts';
import { formatCount, formatSize } from './format.ts';
import { texts } from './i18n.ts';
import { showName } from './long-name.ts';
import { placeAddress } from './place.ts';

/** The actions with a button, in the order of the buttons. */
const BUTTONS = ['download', 'share', 'rename', 'delete'] as const;
export type FolderAction = (typeof BUTTONS)[number];

/**
 * Makes an empty row.
 *
 * @param act - called with the action of a button that was pressed.
 * @param pick - as of `makeFileRow`.
 */
export function makeFolderRow(
  { name }: FolderJson,
  act: (action: FolderAction) => void,
  pick: (isSelected: boolean, isRange: boolean) => void,
): HTMLLIElement {
  const box = make('input', { type: 'checkbox', className: 'pick' });
  box.addEventListener('click', (event) => pick(box.checked, event.shiftKey));
  // A link, so that it can be opened in another tab, and its address copied.
  const open = make(
    'a',
    { className: 'name', href: placeAddress(name), draggable: false },
    make('bdi', { dir: 'auto' }),
  );
  const buttons = BUTTONS.map((action) => {
    const button = make('button', { type: 'button', className: `plain act ${action}` }, make('span'));
    button.addEventListener('click', () => act(action));
    return button;
  });
  const row = make(
    'li',
    { className: 'file folder', draggable: true },
    make('label', { className: 'pick-box' }, box),
    open,
    make('span', { className: 'size' }),
    make('span', { className: 'when' }),
    make('div', { className: 'row-buttons' }, ...buttons),
  );
  row.dataset['folder'] = name;
  return row;
}

export function updateFolderRow(row: HTMLLIElement, folder: FolderJson, isSelected: boolean): void {
  const t = texts();
  const name = shownName(lastPart(folder.name));
  const [box, open, bdi, size, count] = [
    row.querySelector<HTMLInputElement>('input.pick'),
    row.querySelector<HTMLAnchorElement>('a.name'),
    row.querySelector<HTMLElement>('a.name bdi'),
    row.querySelector<HTMLElement>('.size'),
    row.querySelector<HTMLElement>('.when'),
  ];
  if (!box || !open || !bdi || !size || !count) return;
  box.checked = isSelected;
  box.ariaLabel = t.selectFolder(name);
  row.classList.toggle('selected', isSelected);
  showName(bdi, lastPart(folder.name));
  open.ariaLabel = t.openFolder(name);
  setText(size, formatSize(folder.bytes));
  size.title = t.bytes(formatCount(folder.bytes));
  setText(count, t.filesIn(formatCount(folder.files), folder.files === 1));
  const labels = {
    download: [t.zip, t.downloadFolder(name)],
    share: [t.share],
    rename: [t.rename],
    delete: [t.deleteFile],
  };
  row.querySelectorAll<HTMLButtonElement>('.act').forEach((button, index) => {
    const action = BUTTONS[index];
    if (action === undefined) return;
    const [label = '', spoken = t.ofFolder(label, name)] = labels[action];
    if (button.firstElementChild) setText(button.firstElementChild, label);
    button.ariaLabel = spoken;
    button.title = spoken;
  });
}
