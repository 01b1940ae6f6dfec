/** Names of the files in the folder: of unfinished uploads, contents, marks and temporary files. */
import { StoreError } from '../store.ts';

/** Prefix of files that belong to unfinished uploads. */
export const UNFINISHED = 'tmp_';
/** The extensions that a final name keeps. */
const EXTENSION_PATTERN = '\\.[a-z0-9]{1,16}';
const EXTENSION = new RegExp(`${EXTENSION_PATTERN}$`);
/** Names that `finalName` returns. */
export const FINAL = new RegExp(`^[0-9a-f]{32}(-[1-9][0-9]*)?(${EXTENSION_PATTERN})?$`);
/** Temporary files, which a killed service may leave. No other service uses the folder meanwhile, as the catalog is locked. */
export const LITTER = /^\.((probe|links|copy)-|tidemark-id-new$)/;
/** The file with the id of the catalog to which the folder belongs. No upload and no content has such a name. */
export const MARK = '.tidemark-id';
/** Prefix of a file that marks the entry of another one as unsettled, see entries.ts. */
export const UNSETTLED = '.unsettled-';
const PLAIN_NAME = /^[A-Za-z0-9_-]+(\.[a-z0-9]+)?$/;

/** The name of a content's file, with the extension of its first upload. */
export function finalName(filename: string | null, { md5, variant }: { md5: string; variant: number }): string {
  const extension = EXTENSION.exec(filename?.toLowerCase() ?? '')?.[0] ?? '';
  return `${md5}${variant > 0 ? `-${variant}` : ''}${extension}`;
}

/** Checks an id or key, which only the service itself chooses. @throws StoreError for one that is not a plain name. */
export function requirePlainName(name: string): void {
  if (!PLAIN_NAME.test(name)) throw new StoreError('missing', `${JSON.stringify(name)} is not a name of ours`);
}
