/** Sizes, rates and times as people read them. */
import { localeTag, texts } from './i18n.ts';

/** Formatters are dear to make, and a list that is scrolled asks for many. */
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
  const clock = { hour: '2-digit', minute: '2-digit' } as const;
  const options = sameDay ? clock : ({ year: 'numeric', month: 'short', day: 'numeric', ...clock } as const);
  return formatter(`time ${sameDay}`, (locale) => new Intl.DateTimeFormat(locale, options)).format(time);
}
