/** The events of `GET /api/events`: by their name, the JSON of their data. */
import type { FileJson } from './files.ts';

export interface EventsJson {
  /** What happened before is in the catalog, and is not told here. */
  begin: Record<string, never>;
  published: FileJson;
  renamed: FileJson;
  deleted: { id: string };
}

export type EventName = keyof EventsJson;
