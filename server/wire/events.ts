/** The events of `GET /api/events`: the name of each, and the JSON of its data. */
import type { FileJson } from './files.ts';

export interface EventsJson {
  /** Events from before this moment are left out: read the list of files. */
  begin: Record<string, never>;
  published: FileJson;
  renamed: FileJson;
  deleted: { id: string };
  /** A folder has another path, and with it all that is below it: read the list of files. */
  moved: { from: string; to: string };
}

export type EventName = keyof EventsJson;
