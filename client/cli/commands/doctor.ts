/** `tidemark doctor`: starts the service's doctor as a process. */
import { runServerEntry } from '../server-entry.ts';

/**
 * Runs the doctor with this process's environment and terminal.
 *
 * @param signal - interrupts the doctor, which then removes what it made.
 * @returns its exit code, once it has exited.
 */
export function runDoctor({ json }: { json: boolean }, signal: AbortSignal): Promise<number> {
  return runServerEntry('doctor', json ? ['--json'] : [], signal);
}
