/** What becomes of deleted files: by TRASH_TTL. */
import type { Fate } from '../catalog/trash.ts';
import type { Limits } from './parts.ts';

export function fateOf({ trashTtlMs }: Pick<Limits, 'trashTtlMs'>): Fate {
  return trashTtlMs > 0 ? 'trash' : 'gone';
}
