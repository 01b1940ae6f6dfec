/** Names that are taken, asked for many at a time: before their bytes are sent, a client asks its user what is to become of them. */

/** The most names that are asked for at a time. */
export const MOST_NAMES_ASKED = 1_000;

/** What has a name. */
export interface NamedFile {
  /** The whole path. */
  name: string;
  size: number;
  md5: string;
}

export interface NamedFiles {
  /** The owner's files that have any of these names, which are paths, `MOST_NAMES_ASKED` at most; in any order. */
  findNamed(owner: string, names: readonly string[]): Promise<NamedFile[]>;
}
