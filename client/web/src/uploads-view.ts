/** The uploads as they are shown: a row for each, and how all of them stand. */
import { byId, make, setText, shownName } from './dom.ts';
import { formatDuration, formatPercent, formatSize } from './format.ts';
import { onLanguage, texts } from './i18n.ts';
import { isOver, isUnderWay, type Item } from './item.ts';
import { announce } from './notices.ts';
import type { Queue } from './queue.ts';
import { createRate } from './rate.ts';
import { createWindowed } from './windowed.ts';

export interface UploadsView {
  onChange(item: Item): void;
  onList(): void;
  onOver(item: Item): void;
}

export interface UploadsActions {
  queue: () => Queue;
  limit: () => number | null;
  choose: () => void;
  open: (item: Item) => void;
}

const TITLE = 'Tidemark';

export function createUploadsView(actions: UploadsActions): UploadsView {
  const section = byId('uploads');
  const overall = byId<HTMLProgressElement>('overall');
  const rate = createRate();
  let speed: number | null = null;
  /** Quarters of the whole that were told. */
  let told = 0;

  const rows = createWindowed<Item>({
    list: byId<HTMLUListElement>('upload-list'),
    items: () => actions.queue().items,
    keyOf: (item) => item.id,
    make: makeRow,
    update: updateRow,
  });

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
      make('div', { className: 'upload-text' }, name, status, bar),
      make('div', { className: 'row-buttons' }, first, second),
    );
  }

  function updateRow(row: HTMLLIElement, item: Item): void {
    const t = texts();
    row.dataset['state'] = item.state;
    const [name, status, bar] = [
      row.querySelector<HTMLElement>('.name'),
      row.querySelector('.status'),
      row.querySelector('progress'),
    ];
    if (!name || !status || !bar) return;
    setText(name, shownName(item.path));
    name.title = shownName(item.path);
    setText(status, statusOf(item));
    status.setAttribute('title', status.textContent ?? '');
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

  function statusOf(item: Item): string {
    const t = texts();
    const [sent, size] = [formatSize(item.sent), formatSize(item.size)];
    if (item.stall === 'lostLine') return t.lostLine(sent, size);
    if (item.stall) return t[item.stall];
    switch (item.state) {
      case 'queued':
      case 'ready':
        return t.queued;
      case 'hashing':
        return t.hashing(formatPercent(item.hashed, item.size));
      case 'checking':
        return t.checking;
      case 'sending':
        if (item.sent === item.size && item.size > 0) return t.finishing;
        return t.sending(sent, size, formatPercent(item.sent, item.size));
      case 'paused':
        return t.paused(sent, size);
      case 'instant':
        return `${t.instant} · ${size}`;
      case 'done':
        return `${item.fromStart ? t.fromStart : t.done} · ${size}`;
      case 'failed':
        return failureOf(item);
      case 'interrupted':
        if (item.fromStart) return t.expired;
        return item.url === null ? t.interruptedAtStart : t.interrupted(sent, size);
      case 'stalled':
        return t.queued;
    }
  }

  function failureOf(item: Item): string {
    const t = texts();
    const limit = actions.limit();
    if (item.failure === 'tooLarge' && limit !== null) return t.tooLarge(formatSize(limit));
    if (item.failure === 'tooLarge' || item.failure === 'refused') return t.refused(item.message);
    return t[item.failure ?? 'failed'];
  }

  function progressOf(item: Item): number {
    if (item.state === 'done' || item.state === 'instant') return 1;
    if (item.state === 'hashing') return item.hashed / (item.size || 1);
    return item.sent / (item.size || 1);
  }

  function buttonsOf(item: Item): { label: string; run: () => void }[] {
    const t = texts();
    const queue = actions.queue();
    const cancel = { label: t.cancel, run: () => queue.cancel(item) };
    const remove = { label: t.remove, run: () => queue.cancel(item) };
    switch (item.state) {
      case 'done':
      case 'instant':
        return [{ label: t.open, run: () => actions.open(item) }, remove];
      case 'failed':
        if (item.failure === 'tooLarge' || !item.file) return [remove];
        return [{ label: t.retry, run: () => void orChoose(queue.retry(item)) }, remove];
      case 'paused':
        return [{ label: t.resume, run: () => queue.resume(item) }, cancel];
      case 'interrupted':
        return [
          item.needsClick ? { label: t.goOn, run: () => void orChoose(queue.goOn(item)) } : chooseAgain(),
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

  function chooseAgain(): { label: string; run: () => void } {
    return { label: texts().chooseAgain, run: actions.choose };
  }

  /** Where it cannot go on with the file that it has, the file is chosen again. */
  async function orChoose(going: Promise<boolean>): Promise<void> {
    if (!(await going)) actions.choose();
  }

  /** How all of them stand, in words, in the bar and in the title. */
  function updateSummary(): void {
    const t = texts();
    const { items } = actions.queue();
    section.hidden = items.length === 0;
    const counted = items.filter((item) => item.state !== 'failed' && item.state !== 'interrupted');
    const all = counted.reduce((sum, item) => sum + item.size, 0);
    const sent = counted.reduce((sum, item) => sum + (isOver(item) ? item.size : item.sent), 0);
    const done = counted.filter(isOver).length;
    const busy = counted.some((item) => isUnderWay(item) && item.state !== 'paused');
    const fraction = all === 0 ? (done === counted.length ? 1 : 0) : sent / all;
    overall.hidden = counted.length === 0;
    overall.value = fraction;
    overall.ariaLabel = t.overall;
    const words = [t.summary(done, counted.length)];
    if (counted.length > 0 && done === counted.length) words[0] = t.allDone(done);
    else if (speed !== null && speed > 1 && items.some((item) => item.state === 'sending')) {
      words.push(t.rate(formatSize(speed)), t.left(formatDuration((all - sent) / speed)));
    }
    const failed = items.filter((item) => item.state === 'failed').length;
    if (failed > 0) words.push(t.failures(failed));
    if (counted.length === 0) words.shift();
    setText(byId('summary'), words.join(' · '));
    byId('pause-all').hidden = !busy;
    byId('resume-all').hidden = !items.some((item) => item.state === 'paused');
    byId('clear').hidden = !items.some(isOver);
    const percent = formatPercent(sent, all);
    document.title = busy
      ? `${percent} · ${TITLE}`
      : counted.length > 0 && done === counted.length
        ? `✓ ${TITLE}`
        : TITLE;
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

  byId('pause-all').addEventListener('click', () =>
    [...actions.queue().items].forEach((item) => actions.queue().pause(item)),
  );
  byId('resume-all').addEventListener('click', () =>
    [...actions.queue().items].forEach((item) => actions.queue().resume(item)),
  );
  byId('clear').addEventListener('click', () => actions.queue().clear());
  window.addEventListener('beforeunload', (event) => {
    if (actions.queue().items.some(isUnderWay)) event.preventDefault();
  });
  onLanguage(() => {
    rows.refresh();
    updateSummary();
  });

  return {
    onChange: (item) => rows.refreshItem(item),
    onList: () => {
      updateSummary();
      rows.refresh();
    },
    onOver: (item) => {
      const t = texts();
      const name = shownName(item.path);
      if (item.state === 'failed') announce(t.hasFailed(name, failureOf(item)));
      else announce(item.state === 'instant' ? t.isInstant(name) : t.isDone(name));
      updateSummary();
    },
  };
}
