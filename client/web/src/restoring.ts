/** Restores files and folders whose deletion is undone: the files with one request for all that are undone together. */
import type { Catalog } from './catalog.ts';
import { texts } from './i18n.ts';
import { notify } from './notices.ts';
import { sentenceOfError } from './refusal.ts';
import { restoreDeletion, restoreFiles } from './trash-api.ts';

/** What the service has deleted, as it is named where it is restored: a file; a folder's deletion. */
export type Restorable = { file: string } | { deletion: string; putBack: () => void };

export interface Restoring {
  /**
   * @param key - of the entry in the list
   * @param deleted - what the request has deleted, once it is answered; null where it has failed.
   */
  add(key: string, deleted: Promise<Restorable | null>): void;
}

/** @param focus - moves the focus to the row of an entry that is back on the list. */
export function createRestoring(catalog: Catalog, focus: (key: string) => void): Restoring {
  let waiting: Promise<{ key: string; what: Restorable } | null>[] = [];

  async function restoreAll(): Promise<void> {
    const all = waiting;
    waiting = [];
    const deleted = (await Promise.all(all)).filter((one) => one !== null);
    const last = deleted.at(-1);
    if (last === undefined) return;
    try {
      const files = deleted.flatMap(({ what }) => ('file' in what ? what.file : []));
      for (const file of await restoreFiles(files)) catalog.put(file, 'published');
      for (const { what } of deleted) {
        if ('file' in what) continue;
        await restoreDeletion(what.deletion);
        what.putBack();
      }
      if (document.activeElement !== document.body) return;
      requestAnimationFrame(() => requestAnimationFrame(() => focus(last.key)));
    } catch (error) {
      notify(texts().restoreFailed(sentenceOfError(error)));
    }
  }

  return {
    add: (key, deleted) => {
      // All that are undone in one go are there before the microtask runs.
      if (waiting.length === 0) queueMicrotask(() => void restoreAll());
      waiting.push(deleted.then((what) => (what === null ? null : { key, what })));
    },
  };
}
