/** The JSON of files in `/api/files`, `/check`, `/upload` and the events. See docs/http-api.md. */

/** A file. */
export interface FileJson {
  id: string;
  /** May be a path: parts separated by `/`. */
  name: string;
  /** Bytes. */
  size: number;
  md5: string;
  /** Left out until the service has computed it, and where it does not compute it for every file. */
  sha1?: string;
  /** As `sha1`; but also there where the owner asked for this content by its SHA-256. */
  sha256?: string;
  /** Media type; null when unknown. */
  type: string | null;
  /** ISO 8601, UTC. */
  uploadedAt: string;
  /** The address of its bytes. */
  url: string;
  /** Left out unless somebody has sent it by an upload link. In lists, of one file, and in the event `published`. */
  sentBy?: SentByJson;
}

/** Who has sent a file by an upload link: its id, and what they said of themselves. */
export interface SentByJson {
  link: string;
  name: string | null;
  note: string | null;
}

/** Number and total size of an owner's files. */
export interface FilesTotalJson {
  files: number;
  bytes: number;
}

/** The answer of `GET /api/files`. */
export interface FilePageJson {
  files: FileJson[];
  /** With `prefix`, unless it is recursive: the folders of this level, which come before the files. */
  folders?: FolderJson[];
  /** Where the next page begins; null at the end. */
  nextCursor: string | null;
  /** Of all files of the owner, also with a search or a prefix. `trash`: of those in the trash; left out where it is empty. */
  total: FilesTotalJson & { trash?: FilesTotalJson };
}

/** What a list can be sorted by. */
export type FileSortJson = 'uploaded' | 'name' | 'size';

/** A folder: it is there as long as there are files below it. */
export interface FolderJson {
  /** Its whole path. */
  name: string;
  /** All below it. */
  files: number;
  bytes: number;
}

/** The body of `PATCH /api/folders`. */
export interface MoveJson {
  path: string;
}

/** The answer of `DELETE /api/folders`: what this request has deleted. */
export interface DeletedJson extends FilesTotalJson {
  /** For the next request, which continues; null at the end. */
  nextCursor: string | null;
  /** By which all that these requests delete can be restored from the trash; left out where there is none. */
  deletion?: string;
}

/** What becomes of another file that has the name of a new one. */
export type OnConflictJson = 'rename' | 'replace';

/** The body of `PATCH /api/files/<id>`. */
export interface RenameJson {
  name: string;
}

/** The body of `POST /api/names/taken`. */
export interface NamesJson {
  names: string[];
}

/** The answer of `POST /api/names/taken`: the files that have any of the names. */
export interface TakenJson {
  taken: TakenNameJson[];
}

export type TakenNameJson = Pick<FileJson, 'name' | 'size' | 'md5'>;

/** The answer of `POST /upload`. */
export type FormJson = { status: 'ok' | 'exists'; url: string; file: FileJson } | { status: 'uploading' };

/** The answer of `POST /api/ticket`. */
export interface TicketJson {
  /** How long the browser may fetch files with it; null where the service asks for no token. */
  expiresInSeconds: number | null;
}
