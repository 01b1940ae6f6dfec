/** `tidemark doctor`: starts the service's doctor as a process. The client itself speaks HTTP only. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { EXIT } from '../errors.ts';

// Relative to the place to which this module is compiled, in the package as here.
const DOCTOR = fileURLToPath(new URL('../../../server/doctor/main.js', import.meta.url));

/**
 * Runs the doctor with this process's environment and terminal.
 *
 * @param signal - interrupts the doctor, which then removes what it made.
 * @returns its exit code, once it has exited.
 */
export async function runDoctor({ json }: { json: boolean }, signal: AbortSignal): Promise<number> {
  const child = spawn(process.execPath, ['--enable-source-maps', DOCTOR, ...(json ? ['--json'] : [])], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  // The terminal sends a Ctrl-C to the doctor as well: a second signal does no harm.
  const interrupt = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', interrupt, { once: true });
  try {
    const [exitCode] = (await once(child, 'close')) as [number | null];
    return exitCode ?? EXIT.failed;
  } finally {
    signal.removeEventListener('abort', interrupt);
  }
}
