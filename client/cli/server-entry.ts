/** Starts entries of the server's side as processes: they know its settings and its stores. The client itself speaks HTTP only. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { EXIT } from './errors.ts';

// Relative to the place to which this module is compiled, in the package as here.
const SERVER = new URL('../../server/', import.meta.url);

/**
 * Runs an entry with this process's environment and terminal.
 *
 * @param signal - interrupts it, so that it ends in order.
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
  // The terminal sends a Ctrl-C to it as well: a second signal does no harm.
  const interrupt = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', interrupt, { once: true });
  try {
    const [exitCode] = (await once(child, 'close')) as [number | null];
    return exitCode ?? EXIT.failed;
  } finally {
    signal.removeEventListener('abort', interrupt);
  }
}
