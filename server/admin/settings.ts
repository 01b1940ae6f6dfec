/** What `move` is told: the service as it is, by its usual settings, and what it is to become. */
import { parseArgs } from 'node:util';
import type { Config } from '../config/config.ts';
import { type Env, readEnv, readEnvFile } from '../config/env.ts';
import { parseConfig } from '../config/parse.ts';
import { ConfigError } from '../config/problems.ts';

export interface MoveSettings {
  source: Config;
  target: Config;
  /** Stop short of the end where a content is damaged. */
  isStrict: boolean;
  /** Of contents that stay where they are: look at their sizes alone. */
  sizesOnly: boolean;
  /** An argument that all users of the machine can read has a password in it. */
  showsPassword: boolean;
}

/** What was asked for cannot be done: sentences for the operator, and nothing was copied. */
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

/** @throws RefusedError with every problem there is. */
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
    // Without the value of an argument, which may be a secret.
    const [sentence = ''] = (error as Error).message.split('\n');
    throw new RefusedError(sentence.replaceAll(/=[^'\s]*|\b\w+:\/\/[^'\s]*/g, hideValue), error);
  }
  throw new RefusedError('Where to? Give --to-env FILE, or --to-database and --to-store.');
}

function hideValue(given: string): string {
  return given.startsWith('=') ? '=…' : '…';
}

/** A file has all settings of the target. Without one they are the service's own, but for what the options change. */
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
