/** An outbox over a real catalog, without a service around it. */
import { onTestFinished } from 'vitest';
import type { Catalog, FileRecord } from '../../server/catalog/catalog.ts';
import type { ClockSource } from '../../server/catalog/sqlite/clock.ts';
import { openNewCatalog } from '../harness/new-catalog.ts';
import { createCursors, type Cursors } from '../../server/outbox/cursor.ts';
import { createFeed, type EventFile, type Feed } from '../../server/outbox/feed.ts';
import { withWakes } from '../../server/outbox/with-wakes.ts';
import { addPublished, newContent } from '../catalog/fixtures.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

export interface Outbox {
  /** What is written through it wakes the feed. */
  catalog: Catalog;
  cursors: Cursors;
  feed: Feed;
  /** A file of this owner with a content of its own. */
  publish(owner: string, name: string): Promise<FileRecord>;
  /** So many events of this owner, of one file. */
  happen(owner: string, times: number): Promise<FileRecord>;
}

/**
 * Opens one in a fresh folder until the test has finished.
 *
 * @param watch - looks at what the feed asks of the catalog, or has it wait.
 * @param source - what the catalog's clock goes by.
 */
export async function openOutbox(
  watch: (catalog: Catalog) => Partial<Catalog> = () => ({}),
  show: (file: EventFile) => EventFile = (file) => file,
  source?: ClockSource,
): Promise<Outbox> {
  const plain = await openNewCatalog({
    file: `${await makeTempFolder()}/catalog.db`,
    ...(source ? { time: source } : {}),
  });
  onTestFinished(() => plain.close());
  const cursors = createCursors(await plain.eventSecret());
  const feed = createFeed({ catalog: { ...plain, ...watch(plain) }, cursors, show });
  const catalog = withWakes(plain, feed.wake);
  let contents = 0;
  const publish = (owner: string, name: string): Promise<FileRecord> =>
    addPublished(catalog, newContent(`content ${contents++}`), { owner, name });
  return {
    catalog,
    cursors,
    feed,
    publish,
    happen: async (owner, times) => {
      const file = await publish(owner, '0');
      for (let time = 1; time < times; time++) await catalog.renameFile(file.id, owner, String(time), null);
      return file;
    },
  };
}
