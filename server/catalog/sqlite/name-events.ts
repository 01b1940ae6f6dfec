/** What the index of names reads in the catalog: files, and what happened to them. */
import type { Statement } from 'better-sqlite3';
import type { Database } from './database.ts';

/** A file as it is indexed. */
export interface FileRow {
  id: string;
  owner: string;
  folded: string;
}

interface EventRow {
  number: number;
  fileId: string;
  event: string;
}

/** What the index asks the catalog. */
export interface CatalogAsks {
  id(): string;
  /** The last event, forgotten or not. */
  latest(): { position: number; event: string };
  /** What the event says; undefined where it is forgotten, or never was. */
  event(number: number): string | undefined;
  /** Whether events after this one are forgotten. */
  forgotAfter(number: number): boolean;
  eventsAfter(number: number, limit: number): EventRow[];
  changedAfter(number: number, owner: string, limit: number): string[];
  file(id: string): FileRow | undefined;
  filesAfter(id: string, limit: number): FileRow[];
  countFiles(): number;
}

/** Prepares the questions. */
export function prepareCatalog(catalog: Database): CatalogAsks {
  const one = (sql: string): Statement => catalog.prepare(sql).pluck();
  const event = `file_id || ' ' || at`;
  const id = one(`SELECT value FROM meta WHERE key = 'id'`);
  const latest = one(`SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'`);
  const eventBy = one(`SELECT ${event} FROM events WHERE number = ?`);
  const forgotten = one('SELECT coalesce(max(number), 0) FROM forgotten_events');
  const events = catalog.prepare(
    `SELECT number, file_id AS fileId, ${event} AS event FROM events WHERE number > ? ORDER BY number LIMIT ?`,
  );
  const changed = one('SELECT file_id FROM events WHERE owner = ? AND number > ? LIMIT ?');
  const file = catalog.prepare('SELECT id, owner, folded_name AS folded FROM files WHERE id = ?');
  const files = catalog.prepare('SELECT id, owner, folded_name AS folded FROM files WHERE id > ? ORDER BY id LIMIT ?');
  const count = one('SELECT count(*) FROM files');
  const eventOf = (number: number) => eventBy.get(number) as string | undefined;
  return {
    id: () => id.get() as string,
    latest() {
      const position = latest.get() as number;
      return { position, event: eventOf(position) ?? '' };
    },
    event: eventOf,
    forgotAfter: (number) => (forgotten.get() as number) > number,
    eventsAfter: (number, limit) => events.all(number, limit) as EventRow[],
    changedAfter: (number, owner, limit) => changed.all(owner, number, limit) as string[],
    file: (each) => file.get(each) as FileRow | undefined,
    filesAfter: (after, limit) => files.all(after, limit) as FileRow[],
    countFiles: () => count.get() as number,
  };
}
