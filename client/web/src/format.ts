/** Sizes, rates and times as people read them. */
import { localeTag, texts } from './i18n.ts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  const number = value.toLocaleString(localeTag(), { maximumFractionDigits: digits, minimumFractionDigits: digits });
  return `${number} ${UNITS[unit]}`;
}

export function formatPercent(part: number, whole: number): string {
  // Never 100 % before it is.
  return `${whole === 0 ? 0 : Math.min(99, Math.floor((part / whole) * 100))}%`;
}

/** Seconds in steps that grow with them: the number does not jump with each look. */
export function formatDuration(seconds: number): string {
  const t = texts();
  if (seconds < 5) return t.fewSeconds;
  if (seconds < 55) return t.seconds(Math.ceil(seconds / 5) * 5);
  if (seconds < 3_600) return t.minutes(Math.ceil(seconds / 60));
  return t.hours(Math.floor(seconds / 3_600), Math.ceil((seconds % 3_600) / 600) * 10);
}

export function formatTime(iso: string): string {
  const time = new Date(iso);
  const sameDay = time.toDateString() === new Date().toDateString();
  return time.toLocaleString(
    localeTag(),
    sameDay
      ? { hour: '2-digit', minute: '2-digit' }
      : { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' },
  );
}
