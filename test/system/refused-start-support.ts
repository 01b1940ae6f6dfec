/** Starts that are refused. */
import { expect } from 'vitest';
import { startService } from '../harness/service.ts';

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
