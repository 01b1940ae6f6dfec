/** Writes the state of each upload to the journal, so that a crash of the browser does not lose it. */
import { isOver, type Item } from './item.ts';
import { forget, type JournalEntry, writeJournal } from './journal.ts';

export interface Notebook {
  /** Writes the item at once and durably. */
  note(item: Item): void;
  /** Writes the item within a second: for its progress, which the page shows until it has asked the service. */
  noteSoon(item: Item): void;
  /** Removes the item: it is done, or was cancelled. */
  strike(item: Item): void;
}

const NOTE_EVERY_MS = 1_000;

export function openNotebook(): Notebook {
  /** Items whose journal entry is out of date. */
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
  const { onConflict, lifeMs, adopted, shared, takenOver, parts, mayHaveFinal } = item;
  const digests = { md5, sha256, urlMd5, urlSha256 };
  const claim = { adopted, shared, takenOver };
  const uploads = { url, parts, mayHaveFinal, lifeMs };
  return { id, name, path, onConflict, size, lastModified, ...digests, ...uploads, ...claim, sent, at: Date.now() };
}
