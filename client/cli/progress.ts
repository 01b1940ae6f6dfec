/** How far everything is: one line that redraws itself on a terminal, a line now and then elsewhere. */
import { fit, formatDuration, formatSize, printable, textWidth } from './format.ts';
import type { Output } from './output.ts';
import { canRedraw, showable } from './plain-text.ts';

const REDRAW_MS = 100;
const LINE_EVERY_MS = 5000;
/** Time in which a change of the rate shows by two thirds. */
const RATE_SMOOTHING_MS = 3000;
const MOST_BAR_COLUMNS = 24;
const LEAST_BAR_COLUMNS = 6;
/** Of a name, before facts go. */
const LEAST_NAME_COLUMNS = 8;

/** One file's way. */
export interface ProgressItem {
  /** A new phase (hashing, uploading…) of so many bytes; null where nobody knows. */
  phase(name: string, totalBytes: number | null): void;
  /** Bytes done by work. */
  at(position: number): void;
  /** A position reached without work: where a resumed transfer begins, or falls back to. */
  jump(position: number): void;
  end(): void;
}

export interface Progress {
  item(name: string): ProgressItem;
  stop(): void;
}

interface State {
  name: string;
  phase: string;
  total: number | null;
  position: number;
  worked: number;
  quarter: number;
  lineAt: number;
}

/**
 * @param expected - the files that are to come, all together.
 */
export function createProgress(output: Output, expected: { files: number; bytes: number }): Progress {
  const items = new Set<State>();
  const onTerminal = canRedraw();
  let endedFiles = 0;
  let endedBytes = 0;
  let lastLineAt = performance.now();
  let drawn = false;
  const rate = createRate();

  if (output.modes.quiet) return { item: () => SILENT, stop: () => {} };

  function clear(): void {
    if (drawn) process.stderr.write('\r\u001b[K');
    drawn = false;
  }

  function draw(): void {
    if (!onTerminal || items.size === 0) return;
    // One column is left free: a terminal that breaks the line at its edge would scroll.
    const columns = Math.max(10, (process.stderr.columns || 80) - 1);
    process.stderr.write(`\r${barLine(columns)}\u001b[K`);
    drawn = true;
  }

  /** What is done and how much of it is always there; what else there is room for comes in the order of its worth. */
  function barLine(columns: number): string {
    const { name, verb, share, facts } = describe();
    const percent = share === null ? '' : ` ${Math.floor(share * 100)}%`;
    const fixed = textWidth(verb) + textWidth(percent);
    const named = Math.min(textWidth(name), LEAST_NAME_COLUMNS);
    let told = '';
    for (const fact of facts) {
      if (fixed + named + textWidth(told + fact) > columns) break;
      told += fact;
    }
    const room = columns - fixed - textWidth(told);
    // The name gives way to a short bar, the bar to a short name.
    const shown = fit(name, share === null ? room : Math.max(room - MOST_BAR_COLUMNS - 3, Math.min(room, 24)));
    const barColumns = Math.min(MOST_BAR_COLUMNS, room - textWidth(shown) - 3);
    const bar = share === null || barColumns < LEAST_BAR_COLUMNS ? '' : ` [${drawBar(share, barColumns)}]`;
    return showable(fit(`${shown}${verb}${bar}${percent}${told}`, columns));
  }

  function describe(): { name: string; verb: string; share: number | null; facts: string[] } {
    const [only] = items;
    const bytesPerSecond = rate.value();
    const speed = bytesPerSecond > 0 ? ` ${formatSize(bytesPerSecond)}/s` : '';
    if (only !== undefined && expected.files <= 1) {
      const { name, phase, total, position } = only;
      const verb = `: ${phase}`;
      if (total === null) return { name, verb, share: null, facts: [` ${formatSize(position)}`, speed] };
      const share = total === 0 ? 1 : Math.min(1, position / total);
      const facts = [` ${formatPart(position, total)}`, speed, timeLeft(total - position, bytesPerSecond)];
      return { name, verb, share, facts };
    }
    let position = endedBytes;
    const names: string[] = [];
    for (const item of items) {
      if (item.phase !== 'hashing') position += item.position;
      const share = item.total ? ` ${Math.floor((100 * item.position) / item.total)}%` : '';
      names.push(`${item.name} ${item.phase}${share}`);
    }
    const share = expected.bytes === 0 ? null : Math.min(1, position / expected.bytes);
    const verb = `${endedFiles} of ${expected.files} files`;
    return {
      name: '',
      verb,
      share,
      facts: [` ${formatPart(position, expected.bytes)}`, speed, ` (${names.join(', ')})`],
    };
  }

  function sayNowAndThen(): void {
    const now = performance.now();
    if (expected.files > 1) {
      if (items.size > 0 && now - lastLineAt >= LINE_EVERY_MS) sayLine();
      return;
    }
    for (const item of items) {
      const quarter = item.total ? Math.min(3, Math.floor((4 * item.position) / item.total)) : 0;
      if (quarter > item.quarter || now - item.lineAt >= LINE_EVERY_MS) {
        item.quarter = Math.max(quarter, item.quarter);
        item.lineAt = now;
        sayLine();
      }
    }
  }

  function sayLine(): void {
    lastLineAt = performance.now();
    const { name, verb, share, facts } = describe();
    output.say(`${name}${verb}${share === null ? '' : ` ${Math.floor(share * 100)}%`},${facts.join('')}`);
  }

  function tick(): void {
    let worked = 0;
    for (const item of items) {
      worked += item.worked;
      item.worked = 0;
    }
    rate.add(worked);
    if (onTerminal) draw();
    else sayNowAndThen();
  }

  const timer = setInterval(tick, REDRAW_MS);
  timer.unref();
  output.attach(onTerminal ? { clear, draw } : null);

  function open(name: string): ProgressItem {
    const now = performance.now();
    const state: State = {
      name: printable(name),
      phase: '',
      total: null,
      position: 0,
      worked: 0,
      quarter: 0,
      lineAt: now,
    };
    return {
      phase(phase, total) {
        if (expected.files <= 1 && state.phase !== phase) rate.reset();
        Object.assign(state, { phase, total, position: 0, worked: 0, quarter: 0, lineAt: performance.now() });
        items.add(state);
      },
      at(position) {
        state.worked += Math.max(0, position - state.position);
        state.position = position;
        if (!onTerminal && expected.files <= 1) sayNowAndThen();
      },
      jump(position) {
        state.position = position;
        if (state.total) state.quarter = Math.min(3, Math.floor((4 * position) / state.total));
      },
      end() {
        if (!items.delete(state)) return;
        endedFiles += 1;
        endedBytes += state.total ?? state.position;
        if (items.size === 0) clear();
      },
    };
  }

  function stop(): void {
    clearInterval(timer);
    clear();
    output.attach(null);
  }

  return { item: open, stop };
}

const SILENT: ProgressItem = { phase: () => {}, at: () => {}, jump: () => {}, end: () => {} };

function drawBar(share: number, columns: number): string {
  const full = Math.floor(share * columns);
  return '#'.repeat(full) + '-'.repeat(columns - full);
}

/** `136 of 286 MiB`: a unit that both share is written once. */
function formatPart(bytes: number, total: number): string {
  const [part, whole] = [formatSize(bytes), formatSize(total)];
  const unit = whole.slice(whole.indexOf(' '));
  return `${part.endsWith(unit) ? part.slice(0, -unit.length) : part} of ${whole}`;
}

function timeLeft(bytes: number, bytesPerSecond: number): string {
  if (bytesPerSecond < 1 || bytes <= 0) return '';
  const seconds = Math.ceil(bytes / bytesPerSecond);
  if (seconds > 359_999) return '';
  return seconds < 60 ? `, ${seconds} s left` : `, ${formatDuration(seconds * 1000)} left`;
}

/** Bytes per second, smoothed exponentially. */
function createRate(): { add: (bytes: number) => void; value: () => number; reset: () => void } {
  let bytesPerMs = 0;
  let weight = 0;
  let at = performance.now();
  return {
    add(bytes) {
      const now = performance.now();
      const elapsedMs = Math.max(1, now - at);
      at = now;
      const fresh = 1 - Math.exp(-elapsedMs / RATE_SMOOTHING_MS);
      bytesPerMs += (bytes / elapsedMs - bytesPerMs) * fresh;
      weight += (1 - weight) * fresh;
    },
    // Divided by the weight of what was seen, so that the first seconds are not shown too low.
    value: () => (weight < 0.05 ? 0 : (bytesPerMs / weight) * 1000),
    reset() {
      bytesPerMs = 0;
      weight = 0;
      at = performance.now();
    },
  };
}
