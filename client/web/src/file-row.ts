/** The row of a file of the catalog. */
import type { FileJson, SentByJson } from '../../../server/wire/files.ts';
import { lastPart } from '../../../server/wire/paths.ts';
import { previewKind } from '../../../server/wire/previews.ts';
import { parentOf } from '../../core/listing.ts';
import { make, setText, shownName } from './dom.ts';
import { formatCount, formatSize, formatWhen } from './format.ts';
import { texts } from './i18n.ts';
import { showName } from './long-name.ts';
import { placeAddress } from './place.ts';

/** The actions with a button, in the order of the buttons. */
const BUTTONS = ['download', 'share', 'address', 'md5', 'rename', 'delete'] as const;
export type FileAction = 'open' | (typeof BUTTONS)[number];

/**
 * Makes an empty row.
 *
 * @param act - called with the action of a button that was pressed.
 * @param pick - called when the file was selected, or the selection taken back. `isRange`: with all up to this one.
 */
export function makeFileRow(
  act: (action: FileAction) => void,
  pick: (isSelected: boolean, isRange: boolean) => void,
): HTMLLIElement {
  const box = make('input', { type: 'checkbox', className: 'pick' });
  // A click, by mouse, finger or the space bar: a change does not tell whether Shift was held.
  box.addEventListener('click', (event) => pick(box.checked, event.shiftKey));
  const open = make('button', { type: 'button', className: 'name' }, make('bdi', { dir: 'auto' }));
  open.addEventListener('click', () => act('open'));
  const buttons = BUTTONS.map((action) => {
    const button = make('button', { type: 'button', className: `plain act ${action}` }, make('span'));
    button.addEventListener('click', () => act(action));
    return button;
  });
  return make(
    'li',
    { className: 'file', draggable: true },
    make('label', { className: 'pick-box' }, box),
    open,
    make('a', { className: 'where', draggable: false, hidden: true }),
    make('span', { className: 'from', dir: 'auto', hidden: true }),
    make('span', { className: 'size' }),
    make('time', { className: 'when' }),
    make('div', { className: 'row-buttons' }, ...buttons),
  );
}

/** @param isFound - a search has found it, in whichever folder. */
export function updateFileRow(row: HTMLLIElement, file: FileJson, isSelected: boolean, isFound: boolean): void {
  const t = texts();
  const name = shownName(lastPart(file.name));
  const [box, open, bdi, size, when] = [
    row.querySelector<HTMLInputElement>('input.pick'),
    row.querySelector<HTMLButtonElement>('button.name'),
    row.querySelector<HTMLElement>('button.name bdi'),
    row.querySelector<HTMLElement>('.size'),
    row.querySelector<HTMLTimeElement>('time'),
  ];
  if (!box || !open || !bdi || !size || !when) return;
  box.checked = isSelected;
  box.ariaLabel = t.selectFile(name);
  row.classList.toggle('selected', isSelected);
  showName(bdi, lastPart(file.name));
  updateWhere(row, isFound ? parentOf(file.name) : '');
  updateSender(row, file);
  open.ariaLabel = previewKind(file) ? t.preview(name) : t.ofFile(t.download, name);
  setText(size, formatSize(file.size));
  size.title = t.bytes(formatCount(file.size));
  const { short, whole } = formatWhen(file.uploadedAt);
  setText(when, short);
  when.title = whole;
  when.dateTime = file.uploadedAt;
  const labels = [
    [t.download, t.ofFile(t.download, name)],
    [t.share, t.ofFile(t.share, name)],
    [t.address, t.ofFile(t.copyAddress, name)],
    ['MD5', t.copyMd5(file.md5.slice(0, 8))],
    [t.rename, t.ofFile(t.rename, name)],
    [t.deleteFile, t.ofFile(t.deleteFile, name)],
  ];
  row.querySelectorAll<HTMLButtonElement>('.act').forEach((button, index) => {
    const [label = '', spoken = ''] = labels[index] ?? [];
    if (button.firstElementChild) setText(button.firstElementChild, label);
    button.ariaLabel = spoken;
    button.title = button.classList.contains('md5') ? t.copyMd5(file.md5) : spoken;
  });
}

/** Shows who has sent a file by a link; of what a search has found, its folder has that place. */
function updateSender(row: HTMLLIElement, { sentBy }: FileJson): void {
  const from = row.querySelector<HTMLElement>('.from');
  if (!from) return;
  const isShown = sentBy !== undefined && !row.classList.contains('found');
  row.classList.toggle('has-sender', isShown);
  from.hidden = !isShown;
  const words = sentBy ? senderWords(sentBy) : '';
  setText(from, words);
  from.title = words;
}

/** Who has sent a file by a link, and what they have said of it. */
export function senderWords({ name, note }: SentByJson): string {
  const from = texts().sentFrom(name === null ? null : shownName(name));
  return note === null ? from : `${from} · ${shownName(note)}`;
}

/** Shows in which folder a file is that was found, as a link to it; empty: nothing. */
function updateWhere(row: HTMLLIElement, folder: string): void {
  const where = row.querySelector<HTMLAnchorElement>('a.where');
  row.classList.toggle('found', folder !== '');
  if (!where) return;
  where.hidden = folder === '';
  if (folder === '') return;
  where.href = placeAddress(folder);
  where.ariaLabel = texts().openFolder(shownName(folder));
  setText(where, shownName(folder));
  where.title = shownName(folder);
}
