/** The service's API of the trash, as the page uses it. */
import type { RestoredJson, RestoreJson, TrashPageJson, TrashProgressJson } from '../../../server/wire/trash.ts';
import { ApiError, jsonOf, request } from './api.ts';

/** The most files that one request restores. */
export const MOST_RESTORED = 1_000;

/** Which files in the trash: one; those that were deleted with a folder; all. */
export type Meant = { id: string } | { deletion: string } | { all: 'true' };

/** @param cursor - of the page before; null: the first one. */
export async function listTrash(cursor: string | null, limit = 200): Promise<TrashPageJson> {
  const query = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
  return jsonOf(await request(`api/trash?limit=${limit}${query}`));
}

async function restore(body: RestoreJson, init: RequestInit = {}): Promise<RestoredJson> {
  const headers = { 'Content-Type': 'application/json' };
  return jsonOf(await request('api/trash/restore', { method: 'POST', body: JSON.stringify(body), headers, ...init }));
}

/**
 * Restores what was deleted with a folder, request by request: each ends after some seconds. The one that runs when the page is left
 * outlives it.
 */
export function restoreDeletion(deletion: string): Promise<void> {
  return untilComplete(() => restore({ deletion }, { keepalive: true }));
}

/** Restores files, at most `MOST_RESTORED`. @returns those that were there, as they are now. */
export async function restoreFiles(ids: readonly string[]): Promise<NonNullable<RestoredJson['restored']>> {
  return (await restore({ files: [...ids] })).restored ?? [];
}

/** Deletes files in the trash for good, request by request, as `restoreDeletion` does. */
export function deleteForGood(meant: Meant): Promise<void> {
  return untilComplete(async ({ until }) => {
    const query = new URLSearchParams({ ...meant, ...(until === undefined ? {} : { until }) }).toString();
    return jsonOf(await request(`api/trash?${query}`, { method: 'DELETE', keepalive: true }));
  });
}

/** Repeats a request until there is no more to do. @param ask - called with the answer before. */
async function untilComplete(
  ask: (before: Pick<TrashProgressJson, 'until'>) => Promise<TrashProgressJson>,
): Promise<void> {
  let answer: TrashProgressJson | null = null;
  while (!answer?.complete) {
    try {
      answer = await ask(answer ?? {});
    } catch (error) {
      // What the requests before have left was restored, or deleted for good, elsewhere.
      if (answer !== null && error instanceof ApiError && error.status === 404) return;
      throw error;
    }
  }
}
