/** The service's log: JSON lines on stdout. */
import { type DestinationStream, type Logger, pino } from 'pino';
import type { Config } from './config/config.ts';
import { openLineOutput } from './log-output.ts';

/** Keys whose values never reach the log, in lower case. */
const SECRET_KEYS = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'password',
  'secret',
  'secretaccesskey',
  'token',
  'tokens',
  'auth_tokens',
]);

const REDACTED = '[secret]';
const DEEPEST_LEVEL = 6;

/**
 * Secrets in what is logged are left out, at any depth; what a child logger is bound
 * to is written as it is, so bind ids only.
 *
 * @param target - where the lines go; stdout by default, each line at once.
 */
export function createLog(level: Config['logLevel'], target: DestinationStream = openStdout()): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { log: (record) => redact(record, 0) as Record<string, unknown> },
    },
    target,
  );
}

/** A log that cannot be written (its disk is full, its reader gone or asleep) must not take the service with it. */
function openStdout(): DestinationStream {
  const output = openLineOutput(1, (dropped) => {
    const line = { level: pino.levels.values['warn'], time: new Date().toISOString(), dropped };
    return `${JSON.stringify({ ...line, msg: 'lines of this log were dropped: they could not be written' })}\n`;
  });
  process.on('exit', () => output.end());
  return output;
}

/**
 * pino's own `redact` wants each path spelled out, and its wildcards cost several times
 * as much as the rest of a line; walking the few plain objects of a record does not.
 *
 * @returns the value itself where it holds no secret, else a copy without it.
 */
function redact(value: unknown, level: number): unknown {
  if (typeof value !== 'object' || value === null || level > DEEPEST_LEVEL) return value;
  if (Array.isArray(value)) {
    const items = value.map((item) => redact(item, level + 1));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  // Errors, buffers, sockets and the like are left to pino's serializers.
  const prototype: unknown = Object.getPrototypeOf(value);
  if (level > 0 && prototype !== Object.prototype && prototype !== null) return value;
  let copy: Record<string, unknown> | undefined;
  for (const [key, inner] of Object.entries(value)) {
    const shown = SECRET_KEYS.has(key.toLowerCase()) ? REDACTED : redact(inner, level + 1);
    if (shown !== inner) (copy ??= { ...value })[key] = shown;
  }
  return copy ?? value;
}
