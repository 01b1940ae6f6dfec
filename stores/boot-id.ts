/** Which boot of the machine this is. */
import { readFileSync } from 'node:fs';

/**
 * An id that is new with every boot of the kernel (Linux: proc(5),
 * /proc/sys/kernel/random/boot_id). Null where there is none: then bytes that were
 * not synced are never trusted after a restart.
 */
export function readBootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return null;
  }
}
