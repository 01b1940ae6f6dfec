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
 * Creates the log. It replaces secrets in what is logged, in nested objects, too; but not in the bindings of child loggers:
 * bind ids only.
 *
 * @param target - gets each line; by default stdout.
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

/** A log that cannot be written (its disk is full, its reader is gone or does not read) must not stop the service. */
function openStdout(): DestinationStream {
  const output = openLineOutput(1, (dropped) => {
    const line = { level: pino.levels.values['warn'], time: new Date().toISOString(), dropped };
    return `${JSON.stringify({ ...line, msg: 'lines of this log were dropped: they could not be written' })}\n`;
  });
  process.on('exit', () => output.end());
  return output;
}

/**
 * Replaces secrets. Not by pino's own `redact`: it needs the path of each, and its wildcards cost several times as much as
 * the rest of a line. Walking the few plain objects of a record costs less.
 *
 * @returns the value itself where it has no secret, else a copy without secrets.
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
