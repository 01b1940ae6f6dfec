/** The row of an upload: its name, its status, and its buttons. */
import { make, setText, shownName } from './dom.ts';
import { texts } from './i18n.ts';
import type { Item } from './item.ts';
import { showName } from './long-name.ts';
import type { Queue } from './queue.ts';
import { detailsOf, progressOf, statusOf } from './upload-words.ts';

/** What the buttons and texts of a row need. */
export interface RowActions {
  queue: () => Queue;
  /** Largest file that the service accepts, in bytes; null: no limit, or not known yet. */
  limit: () => number | null;
  /** Opens the dialog for files. */
  choose: () => void;
  /** Shows the published file; null where it cannot be seen. */
  open: ((item: Item) => void) | null;
  /** Cancels the upload; see upload-cancelling.ts. */
  putAside: (item: Item) => void;
}

interface Action {
  label: string;
  run: () => void;
}

export function canRetry(item: Item): boolean {
  return item.state === 'failed' && item.failure !== 'tooLarge' && item.file !== null;
}

export function makeRow(item: Item, actions: RowActions): HTMLLIElement {
  const name = make('bdi', { className: 'name', dir: 'auto' });
  const status = make('p', { className: 'status' });
  const bar = make('progress', { max: 1 });
  const first = make('button', { type: 'button' });
  const second = make('button', { type: 'button', className: 'plain' });
  first.addEventListener('click', () => buttonsOf(item, actions)[0]?.run());
  second.addEventListener('click', () => buttonsOf(item, actions)[1]?.run());
  return make(
    'li',
    { className: 'upload' },
    make('div', { className: 'upload-text' }, name, status),
    make('div', { className: 'row-buttons' }, first, second),
    bar,
  );
}

export function updateRow(row: HTMLLIElement, item: Item, actions: RowActions): void {
  const t = texts();
  const [name, status, bar] = [
    row.querySelector<HTMLElement>('.name'),
    row.querySelector<HTMLElement>('.status'),
    row.querySelector('progress'),
  ];
  if (!name || !status || !bar) return;
  row.dataset['state'] = item.state;
  showName(name, item.path);
  const words = statusOf(item, actions.limit());
  setText(status, words);
  status.title = detailsOf(item, words);
  bar.value = progressOf(item);
  bar.ariaLabel = t.progressOf(shownName(item.path));
  const buttons = buttonsOf(item, actions);
  row.querySelectorAll('button').forEach((button, index) => {
    const action = buttons[index];
    button.hidden = !action;
    if (!action) return;
    setText(button, action.label);
    button.ariaLabel = t.ofFile(action.label, shownName(item.path));
  });
}

/** At most two, by the state of the upload. */
function buttonsOf(item: Item, actions: RowActions): Action[] {
  const t = texts();
  const queue = actions.queue();
  const cancel = { label: t.cancel, run: () => actions.putAside(item) };
  const hide = { label: t.hide, run: () => queue.cancel(item) };
  switch (item.state) {
    case 'done':
    case 'instant':
      return actions.open === null ? [hide] : [{ label: t.open, run: () => actions.open?.(item) }, hide];
    case 'failed':
      if (!canRetry(item)) return [hide];
      return [{ label: t.retry, run: () => void orChoose(queue.retry(item), actions) }, cancel];
    case 'paused':
      return [{ label: t.resume, run: () => queue.resume(item) }, cancel];
    case 'interrupted':
      return [
        item.needsClick
          ? { label: t.resumeKept, run: () => void orChoose(queue.resumeKept(item), actions) }
          : { label: t.chooseAgain, run: actions.choose },
        cancel,
      ];
    case 'queued':
    case 'hashing':
    case 'ready':
    case 'checking':
    case 'asking':
    case 'sending':
    case 'stalled':
      return [{ label: t.pause, run: () => queue.pause(item) }, cancel];
  }
}

/** Opens the dialog for files where the item could not resume with the file that it has. */
async function orChoose(resumed: Promise<boolean>, { choose }: RowActions): Promise<void> {
  if (!(await resumed)) choose();
}
