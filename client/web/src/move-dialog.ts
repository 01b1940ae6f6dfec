/** Asks into which folder files and folders are to be moved: its path is typed, or chosen folder by folder. */
import { lastPart } from '../../../server/wire/paths.ts';
import { type Entry, isWithin, parentOf, pathOf } from '../../core/listing.ts';
import { foldName } from '../../../server/wire/fold-name.ts';
import { listLevel } from './api-folders.ts';
import { byId, make, setText, shownName } from './dom.ts';
import { formatCount } from './format.ts';
import { texts } from './i18n.ts';
import { showName } from './long-name.ts';
import type { Move } from './moving.ts';
import { isAcceptablePath } from './names.ts';

const LIST_AFTER_MS = 150;
/** The most folders that are offered at a time. */
const MOST_OFFERED = 100;

/** A path as it is typed, without slashes around it. */
function typedPath(typed: string): string {
  return typed.trim().replace(/^\/+|\/+$/g, '');
}

/** Offers folders below the field. */
interface Offers {
  /** For what is typed now. */
  show(moved: readonly Entry[]): Promise<void>;
  /** Forgets what is asked for: the dialog is closed. */
  stop(): void;
}

/** @param choose - called with the path of a folder that was chosen. */
function createOffers(input: HTMLInputElement, choose: (path: string) => void): Offers {
  const list = byId('move-folders');
  /** Incremented with each list: an answer for an earlier one is ignored. */
  let turn = 0;

  function option(path: string, words: string): HTMLLIElement {
    const name = make('bdi', { dir: 'auto' });
    showName(name, words);
    const button = make('button', { type: 'button', className: 'plain name', ariaLabel: shownName(words) }, name);
    button.addEventListener('click', () => choose(path));
    return make('li', {}, button);
  }

  return {
    /** The folders in the one that is typed; where there is none, those beside it that have such a name. */
    show: async (moved) => {
      const current = ++turn;
      const typed = typedPath(input.value);
      const path = typed === '' || isAcceptablePath(typed) ? typed : '';
      const inside = await foldersIn(path);
      const isWhole = path === '' || inside.length > 0 || input.value.endsWith('/');
      const beside = isWhole ? null : await foldersIn(parentOf(path));
      if (current !== turn) return;
      const wanted = foldName(lastPart(path));
      const offered = beside?.filter((name) => name !== path && foldName(lastPart(name)).includes(wanted)) ?? inside;
      const possible = offered.filter((name) => !moved.some((one) => isMovedWith(name, one)));
      const above = parentOf(path);
      list.ariaLabel = texts().foldersThere;
      list.replaceChildren(
        ...(path === '' ? [] : [option(above, `↑ ${above === '' ? texts().allFiles : lastPart(above)}`)]),
        ...possible.map((name) => option(name, lastPart(name))),
      );
    },
    stop: () => {
      turn++;
      list.replaceChildren();
    },
  };
}

/** Whether a path is that of an entry which is a folder, or is below it. */
function isMovedWith(path: string, entry: Entry): boolean {
  return entry.kind === 'folder' && isWithin(path, entry.folder.name);
}

/** @returns a function that opens the dialog. `from`: the folder that is open. */
export function startMoveDialog(move: Move): (entries: readonly Entry[], from: string, onMoved: () => void) => void {
  const dialog = byId<HTMLDialogElement>('move');
  const input = byId<HTMLInputElement>('move-path');
  const submit = byId<HTMLButtonElement>('move-submit');
  const say = (words: string): void => setText(byId('move-problem'), words);
  const offers = createOffers(input, (path) => {
    input.value = path;
    say('');
    input.focus();
    void offers.show(entries);
  });
  let entries: readonly Entry[] = [];
  let onMoved: () => void = () => undefined;
  let timer: number | undefined;
  /** Incremented when the dialog is opened or closed: moves that were begun before end, and change it no more. */
  let turn = 0;

  async function carryOut(): Promise<void> {
    const folder = typedPath(input.value);
    if (folder !== '' && !isAcceptablePath(folder)) return say(texts().badPath);
    if (entries.some((entry) => isMovedWith(folder, entry))) return say(texts().intoItself);
    submit.disabled = true;
    const current = turn;
    const all = formatCount(entries.length);
    await move(entries, folder, (done) => {
      if (current !== turn) return false;
      if (entries.length > 1) setText(submit, `${formatCount(done)} / ${all}`);
      return true;
    });
    if (current !== turn) return;
    onMoved();
    dialog.close();
  }

  input.addEventListener('input', () => {
    say('');
    clearTimeout(timer);
    timer = window.setTimeout(() => void offers.show(entries), LIST_AFTER_MS);
  });
  byId('move-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void carryOut();
  });
  byId('move-cancel').addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => {
    // It may have been opened again before this event came.
    if (dialog.open) return;
    turn++;
    clearTimeout(timer);
    offers.stop();
  });

  return (chosen, from, onEnd) => {
    const t = texts();
    turn++;
    entries = chosen;
    onMoved = onEnd;
    submit.disabled = false;
    const [first] = chosen;
    const count = t.entryCount(formatCount(chosen.length));
    setText(
      byId('move-title'),
      t.ofFile(t.move, first && chosen.length === 1 ? shownName(lastPart(pathOf(first))) : count),
    );
    setText(submit, t.moveHere);
    say('');
    input.value = from;
    dialog.showModal();
    input.select();
    void offers.show(entries);
  };
}

/** The paths of the first folders in a folder; none where they cannot be read. */
async function foldersIn(folder: string): Promise<string[]> {
  const query = { sort: 'name', order: 'asc', limit: String(MOST_OFFERED) };
  const level = await listLevel(folder, query).catch(() => ({ folders: [] }));
  return level.folders.map(({ name }) => name);
}
