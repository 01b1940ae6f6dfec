/** Sizes, rates and times as people read them. */
import { localeTag, texts } from './i18n.ts';

/** Formatters by their options: they are expensive to make, and a list that is scrolled needs many. */
const formatters = new Map<string, unknown>();

function formatter<T>(key: string, create: (locale: string) => T): T {
  const full = `${key} ${localeTag()}`;
  if (!formatters.has(full)) formatters.set(full, create(localeTag()));
  return formatters.get(full) as T;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  const options = { maximumFractionDigits: digits, minimumFractionDigits: digits };
  const numbers = formatter(`number ${digits}`, (locale) => new Intl.NumberFormat(locale, options));
  return `${numbers.format(value)} ${UNITS[unit]}`;
}

export function formatPercent(part: number, whole: number): string {
  // At most 99: 100 % is for what is complete.
  return `${whole === 0 ? 0 : Math.min(99, Math.floor((part / whole) * 100))}%`;
}

/** Seconds as words, in steps that grow with the duration, so that the number does not jump with each update. */
export function formatDuration(seconds: number): string {
  const t = texts();
  if (seconds < 5) return t.fewSeconds;
  if (seconds < 55) return t.seconds(Math.ceil(seconds / 5) * 5);
  if (seconds < 3_600) return t.minutes(Math.ceil(seconds / 60));
  return t.hours(Math.floor(seconds / 3_600), Math.ceil((seconds % 3_600) / 600) * 10);
}

/** For how long something is kept: whole days, hours or minutes. */
export function formatKept(seconds: number): string {
  const t = texts();
  if (seconds >= 86_400) return t.days(Math.floor(seconds / 86_400));
  return seconds >= 3_600 ? t.hours(Math.floor(seconds / 3_600), 0) : t.minutes(Math.ceil(seconds / 60));
}

/** Numbers of things: 12,345. */
export function formatCount(count: number): string {
  return formatter('count', (locale) => new Intl.NumberFormat(locale)).format(count);
}

/** A point in time to the minute: `short` for the list (only the time for today), and `whole`. */
export function formatWhen(iso: string): { short: string; whole: string } {
  const time = new Date(iso);
  const clock = { hour: '2-digit', minute: '2-digit' } as const;
  const day = { year: 'numeric', month: 'short', day: 'numeric' } as const;
  const format = (key: string, options: Intl.DateTimeFormatOptions): string =>
    formatter(key, (locale) => new Intl.DateTimeFormat(locale, options)).format(time);
  const isToday = time.toDateString() === new Date().toDateString();
  const whole = format('time', { ...day, ...clock });
  return { short: isToday ? texts().today(format('clock', clock)) : format('day', day), whole };
}
