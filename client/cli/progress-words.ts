/** The words of the progress: one line for a terminal or a log. */
import { fit, formatDuration, formatSize, textWidth } from './format.ts';
import { showable } from './plain-text.ts';

const MOST_BAR_COLUMNS = 24;
const LEAST_BAR_COLUMNS = 6;
/** Facts are left out before the name gets shorter than this. */
const LEAST_NAME_COLUMNS = 8;

/** One file under way. */
export interface State {
  name: string;
  phase: string;
  /** Bytes of the phase; null where not known. */
  total: number | null;
  position: number;
}

/** All files of a run. */
export interface Sums {
  expected: { files: number; bytes: number };
  endedFiles: number;
  endedBytes: number;
  bytesPerSecond: number;
}

export interface Description {
  name: string;
  verb: string;
  /** From 0 to 1; null where it is not known. */
  share: number | null;
  /** The most important first. */
  facts: string[];
}

/** Describes a single file by its name, several files by their sums. */
export function describe(items: readonly State[], sums: Sums): Description {
  const { expected, bytesPerSecond } = sums;
  const [only] = items;
  const speed = bytesPerSecond > 0 ? ` ${formatSize(bytesPerSecond)}/s` : '';
  return only !== undefined && expected.files <= 1
    ? describeOne(only, speed, bytesPerSecond)
    : describeMany(items, sums, speed);
}

function describeOne({ name, phase, total, position }: State, speed: string, bytesPerSecond: number): Description {
  const verb = `: ${phase}`;
  if (total === null) return { name, verb, share: null, facts: [` ${formatSize(position)}`, speed] };
  const share = total === 0 ? 1 : Math.min(1, position / total);
  const facts = [` ${formatPart(position, total)}`, speed, timeLeft(total - position, bytesPerSecond)];
  return { name, verb, share, facts };
}

function describeMany(items: readonly State[], { expected, endedFiles, endedBytes }: Sums, speed: string): Description {
  let position = endedBytes;
  const names: string[] = [];
  for (const item of items) {
    if (item.phase !== 'hashing') position += item.position;
    const share = item.total ? ` ${Math.floor((100 * item.position) / item.total)}%` : '';
    names.push(`${item.name} ${item.phase}${share}`);
  }
  return {
    name: '',
    verb: `${endedFiles} of ${expected.files} files`,
    share: expected.bytes === 0 ? null : Math.min(1, position / expected.bytes),
    facts: [` ${formatPart(position, expected.bytes)}`, speed, ` (${names.join(', ')})`],
  };
}

/** The line for a terminal. The phase and the percentage are always shown, the facts as far as there is room. */
export function barLine({ name, verb, share, facts }: Description, columns: number): string {
  const percent = share === null ? '' : ` ${Math.floor(share * 100)}%`;
  const fixed = textWidth(verb) + textWidth(percent);
  const named = Math.min(textWidth(name), LEAST_NAME_COLUMNS);
  let told = '';
  for (const fact of facts) {
    if (fixed + named + textWidth(told + fact) > columns) break;
    told += fact;
  }
  const room = columns - fixed - textWidth(told);
  // Where room is short, the name is cut before the bar gets too short, and the bar before a short name is cut.
  const shown = fit(name, share === null ? room : Math.max(room - MOST_BAR_COLUMNS - 3, Math.min(room, 24)));
  const barColumns = Math.min(MOST_BAR_COLUMNS, room - textWidth(shown) - 3);
  const bar = share === null || barColumns < LEAST_BAR_COLUMNS ? '' : ` [${drawBar(share, barColumns)}]`;
  return showable(fit(`${shown}${verb}${bar}${percent}${told}`, columns));
}

/** A line of a log. */
export function logLine({ name, verb, share, facts }: Description): string {
  return `${name}${verb}${share === null ? '' : ` ${Math.floor(share * 100)}%`},${facts.join('')}`;
}

/** Which quarter of a file is under way, from 0 to 3. */
export function quarterOf(position: number, total: number | null): number {
  return total ? Math.min(3, Math.floor((4 * position) / total)) : 0;
}

function drawBar(share: number, columns: number): string {
  const full = Math.floor(share * columns);
  return '#'.repeat(full) + '-'.repeat(columns - full);
}

/** `136 of 286 MiB`: a common unit is written once. */
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
