/** The id of the machine's current boot. */
import { readFileSync } from 'node:fs';

/**
 * Reads an id that changes with every boot of the kernel (Linux: proc(5), /proc/sys/kernel/random/boot_id). Null where
 * there is none: then, after a restart of the process, the store does not trust bytes that were not synced.
 */
export function readBootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return null;
  }
}
