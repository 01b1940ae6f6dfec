/** The summary of all uploads: in words, in the progress bar and in the page's title. */
import { byId, setText } from './dom.ts';
import { formatDuration, formatPercent, formatSize } from './format.ts';
import { texts } from './i18n.ts';
import { isOver, isUnderWay, type Item } from './item.ts';
import { announce } from './notices.ts';
import { groupOf } from './upload-groups.ts';
import { canRetry } from './upload-row.ts';

const TITLE = 'Tidemark';

/** The numbers of all uploads. Those that need the user count neither as bytes nor as done. */
interface Sums {
  /** Uploads that are done, under way, or wait. */
  counted: number;
  done: number;
  failed: number;
  interrupted: number;
  /** Bytes of the counted uploads, and how many of them were sent. */
  all: number;
  sent: number;
  /** From 0 to 1. */
  fraction: number;
  isBusy: boolean;
  isAllDone: boolean;
}

function sumsOf(items: readonly Item[]): Sums {
  const counted = items.filter((item) => groupOf(item) !== 'attention');
  const all = counted.reduce((sum, item) => sum + item.size, 0);
  const sent = counted.reduce((sum, item) => sum + (isOver(item) ? item.size : item.sent), 0);
  const done = counted.filter(isOver).length;
  const failed = items.filter((item) => item.state === 'failed').length;
  const isAllDone = counted.length > 0 && done === counted.length;
  return {
    counted: counted.length,
    done,
    failed,
    interrupted: items.length - counted.length - failed,
    all,
    sent,
    fraction: all === 0 ? Number(isAllDone) : sent / all,
    isBusy: counted.some((item) => isUnderWay(item) && item.state !== 'paused'),
    isAllDone,
  };
}

function wordsOf(items: readonly Item[], sums: Sums, speed: number | null): string {
  const t = texts();
  const { counted, done, failed, interrupted, all, sent, isAllDone } = sums;
  const words = [];
  if (isAllDone) words.push(done === items.length ? t.allDone(done) : t.doneCount(done));
  else if (counted > 0) words.push(t.summary(done, counted));
  if (!isAllDone && speed !== null && speed > 1 && items.some((item) => item.state === 'sending')) {
    words.push(t.rate(formatSize(speed)), t.left(formatDuration((all - sent) / speed)));
  }
  if (failed > 0) words.push(t.failures(failed));
  if (interrupted > 0) words.push(t.needFile(interrupted));
  return words.join(' · ');
}

/** @returns a function that shows the summary; its `speed` is in bytes per second, null where not known. */
export function createSummary(): (items: readonly Item[], speed: number | null) => void {
  const section = byId('uploads');
  const overall = byId<HTMLProgressElement>('overall');
  /** How many quarters of the whole were announced to screen readers. */
  let announced = 0;

  return (items, speed) => {
    const t = texts();
    const sums = sumsOf(items);
    const { done, fraction, isBusy, isAllDone } = sums;
    section.hidden = items.length === 0;
    overall.hidden = sums.counted === 0;
    overall.value = fraction;
    overall.classList.toggle('done', isAllDone);
    overall.ariaLabel = t.overall;
    setText(byId('summary'), wordsOf(items, sums, speed));
    byId('retry-all').hidden = !items.some(canRetry);
    byId('pause-all').hidden = !isBusy;
    byId('resume-all').hidden = !items.some((item) => item.state === 'paused');
    byId('clear').hidden = done === 0;
    const percent = formatPercent(sums.sent, sums.all);
    document.title = isBusy ? `${percent} · ${TITLE}` : isAllDone ? `✓ ${TITLE}` : TITLE;
    const quarter = Math.floor(fraction * 4);
    if (isBusy && quarter > announced && quarter < 4) announce(t.progressNow(percent));
    announced = isBusy ? quarter : 0;
  };
}
