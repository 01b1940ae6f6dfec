/** The only place that reads the process's environment. */
import { join } from 'node:path';
import { config as loadDotenv } from 'dotenv';
import { ConfigError } from './problems.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/**
 * Reads `.env` of the working directory and the environment, which wins.
 *
 * @throws ConfigError when there is a `.env` that cannot be read. A start with the
 *   defaults could let anyone use a service whose settings ask for tokens.
 */
export function readEnv(folder: string = process.cwd()): Env {
  return { ...readFile(join(folder, '.env'), { name: '.env', isNeeded: false }), ...process.env };
}

/**
 * The settings of another service than this one: those of the file alone.
 *
 * @throws ConfigError where it cannot be read.
 */
export function readEnvFile(path: string): Env {
  return readFile(path, { name: path, isNeeded: true });
}

function readFile(path: string, { name, isNeeded }: { name: string; isNeeded: boolean }): Env {
  const fromFile: Record<string, string> = {};
  const { error } = loadDotenv({ path, processEnv: fromFile, quiet: true });
  if (error && (isNeeded || error.code !== 'ENOENT')) {
    throw new ConfigError([{ variable: name, message: `cannot be read: ${error.message}` }]);
  }
  return fromFile;
}
