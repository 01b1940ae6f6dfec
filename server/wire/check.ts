/** The JSON of `GET /check`: whether the service has a content already, or is receiving it. */
import type { FileJson } from './files.ts';

export type CheckJson =
  /** The service has it. `file` is the asker's; left out while the asker has no file of it. */
  | { status: 'exists'; url: string; file?: FileJson }
  /** `uploading`: bytes of it arrived within the last 30 seconds. */
  | { status: 'notfound' | 'uploading'; resume?: ResumeJson };

/** An unfinished upload of the asker. */
export interface ResumeJson {
  url: string;
  offset: number;
  /** Null while its length is not declared. */
  length: number | null;
  /** Whole seconds since its last byte arrived. Older releases of the service leave it out. */
  idle?: number;
}
