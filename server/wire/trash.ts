/** The JSON of the trash, `/api/trash`. See docs/http-api.md. */
import type { FileJson, FilesTotalJson } from './files.ts';

/** A file in the trash. `name`: its path when it was deleted. */
export interface TrashedJson extends Pick<FileJson, 'id' | 'name' | 'size' | 'md5' | 'type' | 'uploadedAt'> {
  /** ISO 8601, UTC; as all times. */
  deletedAt: string;
  /** From then on it may be gone for good. */
  expiresAt: string;
  /** The folder with which it was deleted. Left out where it was deleted by itself. */
  deletion?: DeletionJson;
}

/** The deletion of a folder. */
export interface DeletionJson {
  id: string;
  folder: string;
}

/** The answer of `GET /api/trash`. */
export interface TrashPageJson {
  files: TrashedJson[];
  /** Where the next page begins; null at the end. */
  nextCursor: string | null;
  /** Of all that is in the owner's trash. */
  total: FilesTotalJson;
  /** How long a deleted file can be restored; 0: not at all. */
  keptSeconds: number;
}

/** The body of `POST /api/trash/restore`: one of them. */
export interface RestoreJson {
  /** Ids. */
  files?: string[];
  /** The id of a deletion. */
  deletion?: string;
}

/** What a request has done in the trash: the answer of `DELETE /api/trash`. */
export interface TrashProgressJson extends FilesTotalJson {
  /** False: there is more, for the next such request. */
  complete: boolean;
  /** Of `all=true`: what was deleted later is left out; for the next request. */
  until?: string;
}

/** The answer of `POST /api/trash/restore`. */
export interface RestoredJson extends TrashProgressJson {
  /** As they are now; only where they were named by their ids. */
  restored?: FileJson[];
}
