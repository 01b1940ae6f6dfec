/**
 * The folders of links. A link names a folder by its row: it outlives moves and renaming, and what is in it is looked up when the
 * link is opened. With its last file a folder goes, from its links, too.
 *
 * Those who open a link are told no ids. So what is in a folder has its path, and a page begins after a name.
 */
import type { FileRecord, FolderRecord } from './catalog.ts';

/** A folder of a link. */
export interface LinkedFolder extends FolderRecord {
  /** From 1, in one order with the files of the link; never another one's. */
  position: number;
}

/** One level of a folder of a link. */
export interface LinkedLevelQuery {
  linkId: string;
  position: number;
  /** From the folder of the link on; empty: that folder itself. */
  path: string;
  /** What the page before ended with; null: the first page. */
  after: { among: 'folders' | 'files'; name: string } | null;
  /** 1 to 1000. */
  limit: number;
}

export interface LinkedLevel {
  /** The path of the link's folder. */
  root: string;
  /** Their whole paths, by name. They come before all files. */
  folders: FolderRecord[];
  /** By name. */
  files: FileRecord[];
  /** Whether another page follows. */
  hasMore: boolean;
}

export interface LinkedFolders {
  /** Those that are left, in order. */
  listLinkFolders(linkId: string): Promise<LinkedFolder[]>;
  /** Undefined where there is no such folder. */
  listLinkedLevel(query: LinkedLevelQuery): Promise<LinkedLevel | undefined>;
  /** @param path - of a file, from the folder of the link on. */
  findLinkedFile(linkId: string, position: number, path: string): Promise<FileRecord | undefined>;
}
