/** Since when an upload waits for bytes. */
import type { Clock } from '../clock.ts';
import type { UploadView } from './contract.ts';

/** Whole seconds since the upload's last byte came; since it was begun, while it has none. */
export function idleSeconds({ lastByteAt }: Pick<UploadView, 'lastByteAt'>, clock: Pick<Clock, 'steady'>): number {
  // A row may be of a clock that was ahead.
  return Math.floor(Math.max(0, clock.steady() - lastByteAt) / 1000);
}
