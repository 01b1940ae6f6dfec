/** The JSON of `GET /api/quota`. See docs/http-api.md. */
import type { FilesTotalJson } from './files.ts';

export interface QuotaJson {
  bytes: LimitJson;
  files: LimitJson;
  /** Unfinished uploads. */
  openUploads: LimitJson;
  /** What takes it up. */
  of: {
    files: FilesTotalJson;
    trash: FilesTotalJson;
    /** Unfinished uploads: how many files they will be, and their bytes as far as these are known. */
    uploads: FilesTotalJson;
  };
}

export interface LimitJson {
  used: number;
  /** Null: no limit. */
  limit: number | null;
}
