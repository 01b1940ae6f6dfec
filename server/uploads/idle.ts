/** Since when an upload waits for bytes. */
import type { UploadRecord } from '../catalog/catalog.ts';

/** Whole seconds since the upload's last byte came; since it was begun, while it has none. */
export function idleSeconds({ lastByteAt }: Pick<UploadRecord, 'lastByteAt'>): number {
  // A clock that was set back meanwhile makes nothing younger than now.
  return Math.floor(Math.max(0, Date.now() - lastByteAt) / 1000);
}
