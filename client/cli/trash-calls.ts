/** The service's API of the trash as functions: one call is one request. */
import type { RestoredJson, RestoreJson, TrashPageJson, TrashProgressJson } from '../../server/wire/trash.ts';
import type { Call, ReadJson } from './link-calls.ts';

/** What in the trash is deleted for good: a file, what was deleted with a folder, or all. */
export type DeletedForGood = { id: string } | { deletion: string } | { all: 'true'; until?: string };

export interface TrashCalls {
  trash(question: { limit: number; cursor?: string }, signal: AbortSignal): Promise<TrashPageJson>;
  restore(meant: RestoreJson, signal: AbortSignal): Promise<RestoredJson>;
  deleteForGood(meant: DeletedForGood, signal: AbortSignal): Promise<TrashProgressJson>;
}

const PATH = '/api/trash';

export function createTrashCalls(call: Call, readJson: ReadJson): TrashCalls {
  const isCounted = (value: Record<string, unknown>): boolean => typeof value['files'] === 'number';
  return {
    trash: async (question, signal) =>
      readJson<TrashPageJson>(await call('GET', PATH, signal, { query: { ...question } }), (value) =>
        Array.isArray(value['files']),
      ),
    restore: async (json, signal) =>
      readJson<RestoredJson>(await call('POST', `${PATH}/restore`, signal, { json }), isCounted),
    deleteForGood: async (meant, signal) =>
      readJson<TrashProgressJson>(await call('DELETE', PATH, signal, { query: { ...meant } }), isCounted),
  };
}
