/** `tidemark doctor`: starts the service's doctor, which knows its settings and its stores; the client speaks HTTP only. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { EXIT } from '../errors.ts';

// Beside client/, in the package as here.
const DOCTOR = fileURLToPath(new URL('../../../server/doctor/main.js', import.meta.url));

/** Its exit code, once it has removed what it made. It reads the same environment and writes to the same terminal. */
export async function runDoctor({ json }: { json: boolean }, signal: AbortSignal): Promise<number> {
  const child = spawn(process.execPath, ['--enable-source-maps', DOCTOR, ...(json ? ['--json'] : [])], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  // A terminal's Ctrl-C reaches it too, and a second one changes nothing.
  const interrupt = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', interrupt, { once: true });
  try {
    const [exitCode] = (await once(child, 'close')) as [number | null];
    return exitCode ?? EXIT.failed;
  } finally {
    signal.removeEventListener('abort', interrupt);
  }
}
