/** How long an upload has waited for bytes. */
import type { UploadView } from './contract.ts';

/** Whole seconds since the upload's last byte arrived; since it was begun, while it has none. */
export function idleSeconds({ idleMs }: Pick<UploadView, 'idleMs'>): number {
  return Math.floor(idleMs / 1000);
}
