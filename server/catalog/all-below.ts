/**
 * All files below folders, as they were at one moment: what an archive is made of. Page by page a file could be missed, or be there
 * twice, that is moved meanwhile; and another folder could come to the path.
 */

/** A file, by its path from a folder on. */
export interface FileBelow {
  id: string;
  path: string;
  size: number;
  uploadedAt: number;
}

export interface AllBelow {
  /**
   * In the order of the listings of levels: of each folder its files, and then its folders.
   *
   * @param query.most - no more files are read.
   * @returns undefined where the owner has no such folder.
   */
  listAllBelow(query: { owner: string; folder: string; most: number }): Promise<FileBelow[] | undefined>;
  /** The same of all folders of a link, in their order. Paths begin with the name of the link's folder. */
  listAllLinked(linkId: string, most: number): Promise<FileBelow[]>;
}
