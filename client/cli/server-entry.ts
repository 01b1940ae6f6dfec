/** Starts entries of the service as processes: they read its settings and stores, while the client itself only speaks HTTP. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { EXIT } from './errors.ts';

// Relative to the compiled module, in the package as in the repository.
const SERVER = new URL('../../server/', import.meta.url);

/**
 * Runs an entry with this process's environment and terminal.
 *
 * @param signal - sends it SIGTERM, so that it stops in order.
 * @returns its exit code, once it has exited.
 */
export async function runServerEntry(
  entry: 'doctor' | 'admin',
  args: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const main = fileURLToPath(new URL(`${entry}/main.js`, SERVER));
  const child = spawn(process.execPath, ['--enable-source-maps', main, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  // On Ctrl-C the terminal sends it SIGINT as well: a second signal does no harm.
  const interrupt = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', interrupt, { once: true });
  try {
    const [exitCode] = (await once(child, 'close')) as [number | null];
    return exitCode ?? EXIT.failed;
  } finally {
    signal.removeEventListener('abort', interrupt);
  }
}
