/** The catalog's JSON: what `/api/files`, `/check`, `/upload` and the events tell of files. See docs/http-api.md. */

/** A file. */
export interface FileJson {
  id: string;
  name: string;
  /** Bytes. */
  size: number;
  md5: string;
  /** Where the service computes it for every file, or has done so for this one. */
  sha1?: string;
  /** As above. */
  sha256?: string;
  /** Media type; null when unknown. */
  type: string | null;
  /** ISO 8601, UTC. */
  uploadedAt: string;
  /** Where its bytes are. */
  url: string;
}

/** How many files an owner has, and how large they are together. */
export interface FilesTotalJson {
  files: number;
  bytes: number;
}

/** The answer of `GET /api/files`. */
export interface FilePageJson {
  files: FileJson[];
  /** Where the next page begins; null at the end. */
  nextCursor: string | null;
  /** Of all files, whatever was searched for. */
  total: FilesTotalJson;
}

/** What a list can be sorted by. */
export type FileSortJson = 'uploaded' | 'name' | 'size';

/** The body of `PATCH /api/files/<id>`. */
export interface RenameJson {
  name: string;
}

/** The answer of `POST /upload`. */
export type FormJson = { status: 'ok' | 'exists'; url: string; file: FileJson } | { status: 'uploading' };

/** The answer of `POST /api/ticket`. */
export interface TicketJson {
  /** How long the browser may fetch files with it; null where no tokens are asked for. */
  expiresInSeconds: number | null;
}
