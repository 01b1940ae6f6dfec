/** Where each upload stands, written down so that a crash of the browser does not forget it. */
import { isOver, type Item } from './item.ts';
import { forget, type JournalEntry, writeJournal } from './journal.ts';

export interface Notebook {
  /** At once, for good. */
  note(item: Item): void;
  /** Within a second: the service knows better; this is what is shown until it is asked. */
  noteSoon(item: Item): void;
  /** It is over, or given up. */
  strike(item: Item): void;
}

const NOTE_EVERY_MS = 1_000;

export function openNotebook(): Notebook {
  /** Items whose journal entry is behind. */
  const unwritten = new Set<Item>();
  setInterval(() => {
    if (unwritten.size === 0) return;
    writeJournal([...unwritten].filter((item) => !isOver(item)).map(entryOf), 'relaxed');
    unwritten.clear();
  }, NOTE_EVERY_MS);
  return {
    note: (item) => writeJournal([entryOf(item)], 'strict'),
    noteSoon: (item) => void unwritten.add(item),
    strike: (item) => {
      unwritten.delete(item);
      forget([item.id]);
    },
  };
}

function entryOf(item: Item): JournalEntry {
  const { id, name, path, size, lastModified, md5, sha256, url, urlMd5, urlSha256, sent } = item;
  const { adopted, shared, takenOver } = item;
  const digests = { md5, sha256, urlMd5, urlSha256 };
  return { id, name, path, size, lastModified, ...digests, url, adopted, shared, takenOver, sent, at: Date.now() };
}
