/** The events of `GET /api/events`: the name of each, and the JSON of its data. */
import type { FileJson } from './files.ts';

export interface EventsJson {
  /** Events from before this moment are left out: read the list of files. */
  begin: Record<string, never>;
  /** `sentBy`: somebody has sent it by an upload link. */
  published: FileJson & { sentBy?: SentByJson };
  renamed: FileJson;
  deleted: { id: string };
  /** A folder has another path, and with it all that is below it: read the list of files. */
  moved: { from: string; to: string };
}

/** Who has sent a file by an upload link: its id, and what they said of themselves. */
export interface SentByJson {
  link: string;
  name: string | null;
  note: string | null;
}

export type EventName = keyof EventsJson;
