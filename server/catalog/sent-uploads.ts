/**
 * Uploads by links: what the catalog's contract says of them. Somebody without an account sends them into a folder of the link's
 * owner, to whom they belong. See docs/decisions/0070-upload-links.md.
 *
 * What must hold:
 * - A link takes no more files and bytes than its limits say, however many uploads begin at once, on however many nodes. An upload
 *   counts from its beginning, with its declared or expected length; without one, with what has arrived of it. A commit of bytes is
 *   not refused: who receives a body of unknown length looks at the link.
 * - What ends without a file counts no more. What became a file counts as long as the link is there, also when the file is deleted.
 */
import type { UploadRecord, UploadState } from './catalog.ts';

/** The most unfinished uploads of one link: all of an owner's links together may have as many as an owner may. */
export const MOST_OPEN_OF_LINK = 100;

/** The most bytes of a link without a limit: no number of JavaScript counts more of them exactly. */
export const MOST_SENT_BYTES = Number.MAX_SAFE_INTEGER;

/** By which link an upload comes, and what its sender says. */
export interface Sent {
  linkId: string;
  /** A name; null: none was given. */
  sender: string | null;
  note: string | null;
}

/** Null: no limit. */
export interface UploadLimits {
  /** Of all files together. */
  mostBytes: number | null;
  mostFiles: number | null;
  /** Of each file. */
  mostFileBytes: number | null;
}

/** What is recorded of an upload link. */
export interface UploadTerms extends UploadLimits {
  /** The path of the folder. */
  folder: string;
  /** Which types it takes; null: any. */
  types: readonly string[] | null;
}

/** What a link has taken: files that were sent, and uploads on their way. */
export interface Taken {
  sentFiles: number;
  sentBytes: number;
}

/** An upload by a link, as its owner sees it. */
export interface SentUpload extends Sent {
  id: string;
  state: UploadState;
  /** As it was declared, with its folder. */
  filename: string | null;
  size: number | null;
  offset: number;
  createdAt: number;
  /** The file it became; null where it is none, or the file is deleted. */
  fileId: string | null;
}

/** An upload by a link, in the order of the links. */
export type SentPlace = Pick<SentUpload, 'id' | 'linkId'>;

export interface SentQuery {
  linkId: string;
  /** 1 to 1000. */
  limit: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** The part of `Catalog` that is about them. `createUpload`, `declareLength` and `expectLength` count. */
export interface SentUploads {
  /** Uploads by a link, the newest first; those of the links of any owner. @throws CatalogError `invalid_cursor`. */
  listSent(query: SentQuery): Promise<{ uploads: SentUpload[]; nextCursor: string | null }>;
  /**
   * Who has sent these files, of those that came by links. Where several uploads became one file it is the first; and nobody where
   * the file was there before.
   */
  findSenders(fileIds: readonly string[]): Promise<(Sent & { fileId: string })[]>;
  /** Some receiving uploads whose link is revoked or gone, after this one, by link: they are to be ended. */
  listWithoutLink(after: SentPlace | null, limit: number): Promise<SentPlace[]>;
  /** Some receiving uploads of a link. */
  listOpenSent(linkId: string, limit: number): Promise<Pick<UploadRecord, 'id' | 'owner'>[]>;
}
