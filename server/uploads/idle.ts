/** Since when an upload waits for bytes. */
import type { UploadView } from './contract.ts';

/** Whole seconds since the upload's last byte came; since it was begun, while it has none. */
export function idleSeconds({ idleMs }: Pick<UploadView, 'idleMs'>): number {
  return Math.floor(idleMs / 1000);
}
