/** The JSON of `GET /check`: whether a content is here already, or on its way. */
import type { FileJson } from './files.ts';

export type CheckJson =
  /** The service has it; `file` is the asker's, and missing while the asker has no file of it. */
  | { status: 'exists'; url: string; file?: FileJson }
  /** `uploading`: bytes of it arrived lately. */
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
