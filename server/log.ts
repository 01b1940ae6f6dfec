/** The service's log: JSON lines on stdout. */
import { pino, type Logger } from 'pino';
import type { Config } from './config/config.ts';

/** Wherever one of these turns up in a logged object, its value stays out of the log. */
const SECRETS = [
  'authorization',
  'cookie',
  'token',
  'secret',
  'password',
  '*.authorization',
  '*.cookie',
  '*.token',
  '*.secret',
  '*.password',
  'req.headers.authorization',
  'req.headers.cookie',
];

export function createLog(level: Config['logLevel']): Logger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: SECRETS, censor: '[secret]' },
  });
}
