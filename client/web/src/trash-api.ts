/** The service's API of the trash, as the page uses it. */
import type { RestoredJson, RestoreJson, TrashPageJson, TrashProgressJson } from '../../../server/wire/trash.ts';
import { jsonOf, request } from './api.ts';

/** The most files that one request restores. */
const MOST_RESTORED = 1_000;

/** Which files in the trash: one; those that were deleted with a folder; all. */
export type Meant = { id: string } | { deletion: string } | { all: 'true' };

/** @param cursor - of the page before; null: the first one. */
export async function listTrash(cursor: string | null, limit = 200): Promise<TrashPageJson> {
  const query = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
  return jsonOf(await request(`api/trash?limit=${limit}${query}`));
}

async function restore(body: RestoreJson): Promise<RestoredJson> {
  const headers = { 'Content-Type': 'application/json' };
  return jsonOf(await request('api/trash/restore', { method: 'POST', body: JSON.stringify(body), headers }));
}

/** Restores what was deleted with a folder, request by request: each ends after some seconds. */
export async function restoreDeletion(deletion: string): Promise<void> {
  while (!(await restore({ deletion })).complete);
}

/** Restores files, as many as there are. @returns them, as they are now. */
export async function restoreFiles(ids: readonly string[]): Promise<NonNullable<RestoredJson['restored']>> {
  const restored = [];
  for (let at = 0; at < ids.length; at += MOST_RESTORED)
    restored.push(...((await restore({ files: ids.slice(at, at + MOST_RESTORED) })).restored ?? []));
  return restored;
}

/** Deletes files in the trash for good, request by request. */
export async function deleteForGood(meant: Meant): Promise<void> {
  for (let until = {}; ;) {
    const query = new URLSearchParams({ ...meant, ...until }).toString();
    const done: TrashProgressJson = await jsonOf(await request(`api/trash?${query}`, { method: 'DELETE' }));
    if (done.complete) return;
    until = done.until === undefined ? {} : { until: done.until };
  }
}
