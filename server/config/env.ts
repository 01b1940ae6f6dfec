/** The only place that reads the process's environment. */
import { config as loadDotenv } from 'dotenv';

export type Env = Readonly<Record<string, string | undefined>>;

/** `.env` of the working directory, and the environment, which wins. */
export function readEnv(): Env {
  const fromFile: Record<string, string> = {};
  loadDotenv({ processEnv: fromFile, quiet: true });
  return { ...fromFile, ...process.env };
}
