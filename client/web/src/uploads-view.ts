/** The uploads as they are shown: a row for each, and how all of them stand. */
import { endUpload } from './api.ts';
import { byId, make, setText, shownName } from './dom.ts';
import { formatDuration, formatPercent, formatSize } from './format.ts';
import { onLanguage, texts } from './i18n.ts';
import { isOver, isUnderWay, type Item } from './item.ts';
import { showName } from './long-name.ts';
import { announce, createUndoable, notify } from './notices.ts';
import type { Chosen } from './chosen.ts';
import type { Queue } from './queue.ts';
import { createRate } from './rate.ts';
import { arrange, type Entry, type Fold, type Group, groupOf } from './upload-groups.ts';
import { detailsOf, failureOf, progressOf, statusOf } from './upload-words.ts';
import { createWindowed } from './windowed.ts';

export interface UploadsView {
  onChange(item: Item): void;
  onList(): void;
  onOver(item: Item): void;
  /** Of what is chosen, what was cancelled a moment ago goes on. @returns the rest. */
  takeBack(chosen: readonly Chosen[]): Chosen[];
}

export interface UploadsActions {
  queue: () => Queue;
  limit: () => number | null;
  choose: () => void;
  open: (item: Item) => void;
}

interface Action {
  label: string;
  run: () => void;
}

const TITLE = 'Tidemark';

export function createUploadsView(actions: UploadsActions): UploadsView {
  const section = byId('uploads');
  const overall = byId<HTMLProgressElement>('overall');
  const rate = createRate();
  let speed: number | null = null;
  /** Quarters of the whole that were told. */
  let told = 0;

  /** With which choice of files an upload came. */
  const batches = new WeakMap<Item, number>();
  let latestBatch = 0;
  const open = new Set<Group>();
  /** Where each stands in the list; a change within a group moves nothing. */
  const groups = new WeakMap<Item, Group>();
  let entries: Entry[] | null = null;

  /** Cancelled, and out of sight: ended once nobody has undone it. Its value: it was running. */
  const aside = new Map<Item, boolean>();
  const cancelling = createUndoable<Item>({
    words: (items) => texts().cancelled(items.map((item) => shownName(item.path))),
    label: () => texts().undo,
    undo: (item) => {
      const wasRunning = aside.get(item) === true;
      aside.delete(item);
      if (wasRunning) actions.queue().resume(item);
      redraw();
    },
    focus: (item) => {
      const row = rows.rowOf({ kind: 'item', key: item.id, item });
      row?.querySelector<HTMLButtonElement>('button:not([hidden])')?.focus({ preventScroll: true });
    },
    carryOut: (item, isLeaving) => {
      aside.delete(item);
      // What Uppy would send does not outlive the page.
      if (isLeaving && item.url !== null && !item.result) void endUpload(item.url).catch(() => undefined);
      actions.queue().cancel(item);
    },
  });

  const rows = createWindowed<Entry>({
    list: byId<HTMLUListElement>('upload-list'),
    items: listed,
    keyOf: (entry) => entry.key,
    isLow: (entry) => entry.kind === 'fold',
    make: (entry) => (entry.kind === 'item' ? makeRow(entry.item) : makeFold(entry.group)),
    update: (row, entry) => (entry.kind === 'item' ? updateRow(row, entry.item) : updateFold(row, entry)),
  });

  /** Those that are not cancelled. */
  function present(): Item[] {
    return actions.queue().items.filter((item) => !aside.has(item));
  }

  function listed(): readonly Entry[] {
    if (entries) return entries;
    const items = present();
    if (items.some((item) => !batches.has(item))) latestBatch++;
    for (const item of items) {
      if (!batches.has(item)) batches.set(item, latestBatch);
      groups.set(item, groupOf(item));
    }
    entries = arrange(
      items,
      (item) => batches.get(item) ?? 0,
      (group) => open.has(group),
    );
    return entries;
  }

  let isDue = false;

  /** Once for all that changes until the next frame. */
  function redraw(): void {
    entries = null;
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      updateSummary();
    });
    rows.refresh();
  }

  function makeFold(group: Group): HTMLLIElement {
    const button = make('button', { type: 'button', className: 'plain' });
    button.addEventListener('click', () => {
      if (!open.delete(group)) open.add(group);
      redraw();
    });
    return make('li', { className: `fold ${group}` }, button);
  }

  function updateFold(row: HTMLLIElement, { group, isOpen, count }: Fold): void {
    const t = texts();
    const button = row.querySelector('button');
    if (!button) return;
    const more = isOpen ? t.showFewer : t.showMore(count);
    setText(button, group === 'done' ? t.doneCount(count) : more);
    button.ariaExpanded = String(isOpen);
  }

  function makeRow(item: Item): HTMLLIElement {
    const name = make('bdi', { className: 'name', dir: 'auto' });
    const status = make('p', { className: 'status' });
    const bar = make('progress', { max: 1 });
    const first = make('button', { type: 'button' });
    const second = make('button', { type: 'button', className: 'plain' });
    first.addEventListener('click', () => buttonsOf(item)[0]?.run());
    second.addEventListener('click', () => buttonsOf(item)[1]?.run());
    return make(
      'li',
      { className: 'upload' },
      make('div', { className: 'upload-text' }, name, status),
      make('div', { className: 'row-buttons' }, first, second),
      bar,
    );
  }

  function updateRow(row: HTMLLIElement, item: Item): void {
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
    row.querySelectorAll('button').forEach((button, index) => {
      const action = buttonsOf(item)[index];
      button.hidden = !action;
      if (!action) return;
      setText(button, action.label);
      button.ariaLabel = t.ofFile(action.label, shownName(item.path));
    });
  }

  function buttonsOf(item: Item): Action[] {
    const t = texts();
    const queue = actions.queue();
    const cancel = { label: t.cancel, run: () => putAside(item) };
    const hide = { label: t.hide, run: () => queue.cancel(item) };
    switch (item.state) {
      case 'done':
      case 'instant':
        return [{ label: t.open, run: () => actions.open(item) }, hide];
      case 'failed':
        if (!canRetry(item)) return [hide];
        return [{ label: t.retry, run: () => void orChoose(queue.retry(item)) }, cancel];
      case 'paused':
        return [{ label: t.resume, run: () => queue.resume(item) }, cancel];
      case 'interrupted':
        return [
          item.needsClick
            ? { label: t.goOn, run: () => void orChoose(queue.goOn(item)) }
            : { label: t.chooseAgain, run: actions.choose },
          cancel,
        ];
      case 'queued':
      case 'hashing':
      case 'ready':
      case 'checking':
      case 'sending':
      case 'stalled':
        return [{ label: t.pause, run: () => queue.pause(item) }, cancel];
    }
  }

  function canRetry(item: Item): boolean {
    return item.state === 'failed' && item.failure !== 'tooLarge' && item.file !== null;
  }

  /** Sends nothing from now on, and keeps what was sent until it can no longer be undone. */
  function putAside(item: Item): void {
    aside.set(item, isUnderWay(item) && item.state !== 'paused');
    actions.queue().pause(item);
    cancelling.add(item);
    redraw();
  }

  /** Where it cannot go on with the file that it has, the file is chosen again. */
  async function orChoose(going: Promise<boolean>): Promise<void> {
    if (!(await going)) actions.choose();
  }

  async function retryAll(): Promise<void> {
    const failed = present().filter(canRetry);
    const went = await Promise.all(failed.map((item) => actions.queue().retry(item)));
    const lost = went.filter((isGoing) => !isGoing).length;
    if (lost > 0) notify(texts().needFile(lost));
  }

  /** How all of them stand, in words, in the bar and in the title. */
  function updateSummary(): void {
    const t = texts();
    const items = present();
    section.hidden = items.length === 0;
    const counted = items.filter((item) => groupOf(item) !== 'attention');
    const all = counted.reduce((sum, item) => sum + item.size, 0);
    const sent = counted.reduce((sum, item) => sum + (isOver(item) ? item.size : item.sent), 0);
    const done = counted.filter(isOver).length;
    const busy = counted.some((item) => isUnderWay(item) && item.state !== 'paused');
    const isAll = counted.length > 0 && done === counted.length;
    const failed = items.filter((item) => item.state === 'failed').length;
    const interrupted = items.length - counted.length - failed;
    const fraction = all === 0 ? (isAll ? 1 : 0) : sent / all;
    overall.hidden = counted.length === 0;
    overall.value = fraction;
    overall.classList.toggle('done', isAll);
    overall.ariaLabel = t.overall;
    const words = [];
    if (isAll) words.push(done === items.length ? t.allDone(done) : t.doneCount(done));
    else if (counted.length > 0) words.push(t.summary(done, counted.length));
    if (!isAll && speed !== null && speed > 1 && items.some((item) => item.state === 'sending')) {
      words.push(t.rate(formatSize(speed)), t.left(formatDuration((all - sent) / speed)));
    }
    if (failed > 0) words.push(t.failures(failed));
    if (interrupted > 0) words.push(t.needFile(interrupted));
    setText(byId('summary'), words.join(' · '));
    byId('retry-all').hidden = !items.some(canRetry);
    byId('pause-all').hidden = !busy;
    byId('resume-all').hidden = !items.some((item) => item.state === 'paused');
    byId('clear').hidden = done === 0;
    const percent = formatPercent(sent, all);
    document.title = busy ? `${percent} · ${TITLE}` : isAll ? `✓ ${TITLE}` : TITLE;
    const quarter = Math.floor(fraction * 4);
    if (busy && quarter > told && quarter < 4) announce(t.progressNow(percent));
    told = busy ? quarter : 0;
  }

  setInterval(() => {
    const queue = actions.queue();
    const sending = queue.items.some((item) => item.state === 'sending');
    if (sending) speed = rate.update(queue.bytesMoved());
    else {
      rate.reset();
      speed = null;
    }
    if (queue.items.length > 0) updateSummary();
  }, 1_000);

  byId('retry-all').addEventListener('click', () => void retryAll());
  byId('pause-all').addEventListener('click', () => present().forEach((item) => actions.queue().pause(item)));
  byId('resume-all').addEventListener('click', () => present().forEach((item) => actions.queue().resume(item)));
  byId('clear').addEventListener('click', () => actions.queue().clear());
  window.addEventListener('beforeunload', (event) => {
    if (present().some(isUnderWay)) event.preventDefault();
  });
  onLanguage(redraw);

  return {
    onChange: (item) => {
      // Its end came before the wish, or it was taken up again.
      if (aside.has(item) && !['paused', 'interrupted', 'failed'].includes(item.state)) cancelling.takeBack(item);
      if (groups.get(item) === groupOf(item)) rows.refreshItem({ kind: 'item', key: item.id, item });
      else redraw();
    },
    onList: redraw,
    onOver: (item) => {
      const t = texts();
      const name = shownName(item.path);
      if (item.state === 'failed') announce(t.hasFailed(name, failureOf(item, actions.limit())));
      else announce(item.state === 'instant' ? t.isInstant(name) : t.isDone(name));
      updateSummary();
    },
    takeBack: (chosen) =>
      chosen.filter(({ file, path }) => {
        const same = [...aside.keys()].find(
          (item) =>
            item.state === 'paused' &&
            item.path === path &&
            item.size === file.size &&
            item.lastModified === file.lastModified,
        );
        if (!same) return true;
        cancelling.takeBack(same);
        actions.queue().resume(same);
        return false;
      }),
  };
}
