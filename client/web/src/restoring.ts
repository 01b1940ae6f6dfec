/** Restores files and folders whose deletion is undone: the files with one request for all that are undone together. */
import type { Catalog } from './catalog.ts';
import { texts } from './i18n.ts';
import { notify } from './notices.ts';
import { sentenceOf, sentenceOfError } from './refusal.ts';
import { MOST_RESTORED, restoreDeletion, restoreFiles } from './trash-api.ts';

/**
 * What the service has deleted, as it is named where it is restored: a file; a folder's deletion. `lost`: the name of a folder of which
 * the service has deleted something, or nothing, and not said how.
 */
export type Restorable = { file: string } | { deletion: string; putBack: () => void } | { lost: string };

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

  /** @returns why not all are back; null: they are. */
  async function restoreSome(ids: readonly string[]): Promise<string | null> {
    const restored = await restoreFiles(ids);
    for (const file of restored) catalog.put(file, 'published');
    return restored.length < ids.length ? sentenceOf({ code: 'not_found', status: 404 }) : null;
  }

  async function restoreAll(): Promise<void> {
    const all = waiting;
    waiting = [];
    const deleted = (await Promise.all(all)).filter((one) => one !== null);
    const last = deleted.at(-1);
    if (last === undefined) return;
    const problems: string[] = [];
    /** One that fails keeps none of the others from being restored. */
    const attempt = async (run: () => Promise<string | null>): Promise<void> => {
      const problem = await run().catch(sentenceOfError);
      if (problem !== null) problems.push(problem);
    };
    const files = deleted.flatMap(({ what }) => ('file' in what ? what.file : []));
    for (let at = 0; at < files.length; at += MOST_RESTORED)
      await attempt(() => restoreSome(files.slice(at, at + MOST_RESTORED)));
    for (const { what } of deleted) {
      if ('lost' in what) problems.push(texts().restoreUnknown(what.lost));
      if (!('deletion' in what)) continue;
      await attempt(async () => {
        await restoreDeletion(what.deletion);
        what.putBack();
        return null;
      });
    }
    const [problem] = problems;
    if (problem !== undefined) notify(texts().restoreFailed(problem));
    if (document.activeElement !== document.body) return;
    requestAnimationFrame(() => requestAnimationFrame(() => focus(last.key)));
  }

  return {
    add: (key, deleted) => {
      // All that are undone in one go are there before the microtask runs.
      if (waiting.length === 0) queueMicrotask(() => void restoreAll());
      waiting.push(deleted.then((what) => (what === null ? null : { key, what })));
    },
  };
}
