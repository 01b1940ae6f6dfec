/** Reads the settings of a move: those of the service as it is, from its environment, and those of the target. */
import { parseArgs } from 'node:util';
import type { Config } from '../config/config.ts';
import { type Env, readEnv, readEnvFile } from '../config/env.ts';
import { parseConfig } from '../config/parse.ts';
import { ConfigError } from '../config/problems.ts';

/** The settings of a move. */
export interface MoveSettings {
  source: Config;
  target: Config;
  /** Whether a damaged content keeps the move from ending. */
  isStrict: boolean;
  /** Whether only the size is checked of contents that stay where they are. */
  sizesOnly: boolean;
  /** Whether an argument, which all users of the machine can read, contains a password. */
  showsPassword: boolean;
}

/** The move was refused before anything was copied; the message says why. */
export class RefusedError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'RefusedError';
  }
}

const OPTIONS = {
  'to-env': { type: 'string' },
  'to-database': { type: 'string' },
  'to-database-file': { type: 'string' },
  'to-store': { type: 'string' },
  strict: { type: 'boolean' },
  'sizes-only': { type: 'boolean' },
} as const;

type Given = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

/** Reads all settings. @throws RefusedError that names all problems of the settings. */
export function readMoveSettings(args: readonly string[]): MoveSettings {
  const given = readArguments(args);
  const env = from('The settings of the service are not valid', readEnv);
  const source = from('The settings of the service are not valid', () => parseConfig(env));
  const target = from('The settings of the target are not valid', () => parseConfig(targetEnv(given, env)));
  return {
    source,
    target,
    isStrict: given.strict === true,
    sizesOnly: given['sizes-only'] === true,
    showsPassword: hasPassword(given['to-database']),
  };
}

function readArguments(args: readonly string[]): Given {
  try {
    const { values } = parseArgs({ args: [...args], options: OPTIONS, strict: true, allowPositionals: false });
    if (values['to-database'] !== undefined && values['to-database-file'] !== undefined)
      throw new RefusedError('Give --to-database or --to-database-file, not both.');
    if (Object.keys(values).some((name) => name.startsWith('to-'))) return values;
  } catch (error) {
    if (error instanceof RefusedError) throw error;
    // The message must not contain the value of an argument, which may be a secret.
    const [sentence = ''] = (error as Error).message.split('\n');
    throw new RefusedError(sentence.replaceAll(/=[^'\s]*|\b\w+:\/\/[^'\s]*/g, hideValue), error);
  }
  throw new RefusedError('Where to? Give --to-env FILE, or --to-database and --to-store.');
}

function hideValue(given: string): string {
  return given.startsWith('=') ? '=…' : '…';
}

/** The file has all settings of the target. Without it they are the service's own. The options change either. */
function targetEnv(given: Given, env: Env): Env {
  const base = given['to-env'] === undefined ? env : readEnvFile(given['to-env']);
  const { 'to-database': url, 'to-database-file': file, 'to-store': store } = given;
  const changed = url !== undefined || file !== undefined;
  return {
    ...base,
    ...(changed && { DATABASE_URL: url, DATABASE_URL_FILE: file }),
    ...(store !== undefined && { STORE: store }),
  };
}

function from<Result>(problem: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const lines = error.problems.map(({ variable, message }) => `  ${variable}: ${message}`);
    throw new RefusedError([`${problem}:`, ...lines].join('\n'), error);
  }
}

function hasPassword(url: string | undefined): boolean {
  return url !== undefined && URL.canParse(url) && new URL(url).password !== '';
}
