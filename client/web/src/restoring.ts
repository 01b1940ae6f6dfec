/** Restores files whose deletion is undone: with one request for all that are undone together. */
import type { FileJson } from '../../../server/wire/files.ts';
import type { Catalog } from './catalog.ts';
import { texts } from './i18n.ts';
import { notify } from './notices.ts';
import { sentenceOfError } from './refusal.ts';
import { restoreFiles } from './trash-api.ts';

export interface Restoring {
  /** @param deleted - whether the request that deletes the file has succeeded, once it is answered. */
  add(file: FileJson, deleted: Promise<boolean>): void;
}

/** @param focus - moves the focus to the row of a file that is back on the list. */
export function createRestoring(catalog: Catalog, focus: (id: string) => void): Restoring {
  let waiting: Promise<string | null>[] = [];

  async function restoreAll(): Promise<void> {
    const all = waiting;
    waiting = [];
    const ids = (await Promise.all(all)).filter((id) => id !== null);
    if (ids.length === 0) return;
    try {
      for (const file of await restoreFiles(ids)) catalog.put(file);
      const last = ids.at(-1);
      if (last === undefined || document.activeElement !== document.body) return;
      requestAnimationFrame(() => requestAnimationFrame(() => focus(last)));
    } catch (error) {
      notify(texts().restoreFailed(sentenceOfError(error)));
    }
  }

  return {
    add: ({ id }, deleted) => {
      // All that are undone in one go are there before the microtask runs.
      if (waiting.length === 0) queueMicrotask(() => void restoreAll());
      waiting.push(deleted.then((isDeleted) => (isDeleted ? id : null)));
    },
  };
}
