/** The JSON of links: of `/api/links` for their owner, and of `/s/<secret>` for those who have one. See docs/http-api.md. */

export type LinkStateJson = 'active' | 'expired' | 'used_up' | 'empty' | 'revoked';

/** A link as its owner sees it. */
export type LinkJson = DownloadLinkJson | UploadLinkJson;

interface AnyLinkJson {
  id: string;
  /** Whether it can be used, and why not. */
  state: LinkStateJson;
  name: string | null;
  /** ISO 8601, UTC; as all times. */
  createdAt: string;
  expiresAt: string | null;
  hasPassword: boolean;
  lastUsedAt: string | null;
}

/** A link to files. */
export interface DownloadLinkJson extends AnyLinkJson {
  kind: 'download';
  /** How many of its files are there still, with those in its folders. */
  files: number;
  folders: number;
  /** The name of the first of its files, without those in folders. */
  firstFile: string | null;
  firstFolder: string | null;
  downloads: number;
  mostDownloads: number | null;
}

/** What an upload link takes. Null: any. */
export interface UploadLimitsJson {
  /** Of all files together. */
  maxBytes: number | null;
  maxFiles: number | null;
  /** Of each file. */
  maxFileBytes: number | null;
  /** Extensions and media types: `.pdf`, `image/*`. */
  types: string[] | null;
}

/** A link by which files are sent into a folder. */
export interface UploadLinkJson extends AnyLinkJson, Readonly<UploadLimitsJson> {
  kind: 'upload';
  folder: string;
  /** How many it has taken, with those that are on their way. */
  files: number;
  bytes: number;
}

/** The body of `POST /api/links` for an upload link. */
export interface NewUploadLinkJson extends Partial<UploadLimitsJson> {
  kind: 'upload';
  folder: string;
  name?: string | null;
  expiresIn?: number | null;
  expiresAt?: string | null;
  password?: string | null;
}

/** An upload by a link, as the link's owner sees it. */
export interface SentUploadJson {
  id: string;
  state: 'receiving' | 'complete' | 'rejected' | 'expired' | 'terminated';
  /** With its folder, as it was sent: the file may have a number, or was renamed. */
  name: string | null;
  size: number | null;
  offset: number;
  sender: string | null;
  note: string | null;
  createdAt: string;
  /** The file it became. */
  fileId: string | null;
}

/** The answer of `GET /api/links/<id>/uploads`. */
export interface SentPageJson {
  uploads: SentUploadJson[];
  nextCursor: string | null;
}

/** The answer of `GET /s/<secret>/uploads/<id>`: an upload as its sender sees it. */
export interface SentJson {
  state: 'receiving' | 'complete';
  name: string | null;
  size: number | null;
  offset: number;
  /** Once it is complete. */
  md5: string | null;
}

/** The answer of `GET /s/<secret>` for an upload link. Null: any number. */
export interface RequestedJson {
  kind: 'upload';
  name: string | null;
  expiresAt: string | null;
  bytesLeft: number | null;
  filesLeft: number | null;
  maxFileBytes: number | null;
  types: string[] | null;
  /** Where uploads are created, by tus or Resumable Uploads for HTTP. */
  uploadUrl: string;
}

/** The body of `POST /api/links`. */
export interface NewLinkJson {
  kind?: 'download';
  /** Ids. */
  files?: string[];
  /** Paths of folders: the link has what is in them when it is opened. */
  folders?: string[];
  name?: string | null;
  /** Seconds. */
  expiresIn?: number | null;
  /** In place of `expiresIn`. */
  expiresAt?: string | null;
  password?: string | null;
  downloads?: number | null;
}

/** The answer of `POST /api/links`, the only one with the address. */
export type CreatedLinkJson = LinkJson & { url: string };

/** The answer of `GET /api/links`. */
export interface LinkPageJson {
  links: LinkJson[];
  nextCursor: string | null;
}

/** A file of a link. */
export interface SharedFileJson {
  /** In the link; it never becomes another file's. */
  position: number;
  /** A path from the folder that has all of the link's files. */
  name: string;
  /** Bytes. */
  size: number;
  md5: string;
  type: string | null;
  /** The address of its bytes. */
  url: string;
}

/** A folder of a link. */
export interface SharedFolderJson {
  /** In one order with the files. */
  position: number;
  /** Without the folders that it is in. */
  name: string;
  /** All below it. */
  files: number;
  bytes: number;
  /** The address of what is in it. */
  url: string;
}

/** The answer of `GET /s/<secret>/folders/<position>/<path>`: one level. Names are paths that begin with the folder of the link. */
export interface SharedLevelJson {
  name: string;
  expiresAt: string | null;
  /** Null: any number. */
  downloadsLeft: number | null;
  folders: Omit<SharedFolderJson, 'position'>[];
  files: Omit<SharedFileJson, 'position'>[];
  /** The address of the next page; null at the end. */
  nextUrl: string | null;
}

/** The answer of `GET /s/<secret>`. */
export interface SharedJson {
  name: string | null;
  expiresAt: string | null;
  /** Null: any number. */
  downloadsLeft: number | null;
  /** Bytes, of all files together. */
  size: number;
  files: SharedFileJson[];
  folders: SharedFolderJson[];
  /** Where all of them are one ZIP file. */
  archiveUrl: string;
}
