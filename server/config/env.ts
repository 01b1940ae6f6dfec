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
  const fromFile: Record<string, string> = {};
  const { error } = loadDotenv({ path: join(folder, '.env'), processEnv: fromFile, quiet: true });
  if (error && error.code !== 'ENOENT') {
    throw new ConfigError([{ variable: '.env', message: `cannot be read: ${error.message}` }]);
  }
  return { ...fromFile, ...process.env };
}
