/** Starts that are refused. */
import { expect } from 'vitest';
import { CatalogError } from '../../server/catalog/catalog.ts';
import { parseConfig } from '../../server/config/parse.ts';
import { createLog } from '../../server/log.ts';
import { startService as startServiceHere } from '../../server/service.ts';
import { StoreError } from '../../stores/store.ts';
import { startService } from '../harness/service.ts';

const LOG = createLog('silent');

/** Tries to start; what it says when it ends with exit code 78. */
export async function refusal(dataDir: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const attempt = startService({ dataDir, env }).then(
    async (service) => {
      await service.stop();
      return 'it started';
    },
    (error: Error) => error.message,
  );
  const [end = '', ...said] = (await attempt).trim().split('\n');
  expect(end).toBe('the service ended with 78:');
  // One sentence, and no stack trace.
  expect(said).toHaveLength(1);
  expect(said[0]).toMatch(/^The service cannot start: /);
  return said[0] ?? '';
}

/**
 * Tries to start in this process, at a fifth of the cost. @returns the sentence that a process of its own would print before it ends with
 * exit code 78, as it does for errors of these two kinds.
 */
export async function refusalHere(dataDir: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  try {
    await startAndStopHere(dataDir, env);
    return 'it started';
  } catch (error) {
    expect(error instanceof CatalogError || error instanceof StoreError, String(error)).toBe(true);
    expect((error as Error).message).not.toContain('\n');
    return (error as Error).message;
  }
}

/** Starts a service in this process, and stops it as SIGTERM does. */
export async function startAndStopHere(dataDir: string, env: NodeJS.ProcessEnv = {}, adopt = false): Promise<void> {
  const settings = { DATA_DIR: dataDir, LISTEN: '127.0.0.1', HTTP_PORT: '0', DIGESTS: 'md5', ...env };
  await (await startServiceHere(parseConfig(settings), LOG, { adopt })).stop();
}
