/** Names of the files in the folder: of unfinished uploads, of contents, and of what lives for a moment. */
import { StoreError } from '../store.ts';

/** Prefix of files that belong to unfinished uploads. */
export const UNFINISHED = 'tmp_';
/** Longest extension kept in a final name; see names.ts of the service for what a name may hold. */
const EXTENSION_PATTERN = '\\.[a-z0-9]{1,16}';
const EXTENSION = new RegExp(`${EXTENSION_PATTERN}$`);
/** Names that `finalName` gives. The service touches no other file in the folder. */
export const FINAL = new RegExp(`^[0-9a-f]{32}(-[1-9][0-9]*)?(${EXTENSION_PATTERN})?$`);
/** What a service that was killed may leave beside them. No other service uses the folder: the catalog is locked. */
export const LITTER = /^\.((probe|links|copy)-|tidemark-id-new$)/;
/** Says which catalog the folder belongs to. No upload and no content has such a name. */
export const MARK = '.tidemark-id';
/** Prefix of a file that marks another one: the sync of that one's entry may have failed, see entries.ts. */
export const UNSETTLED = '.unsettled-';
const PLAIN_NAME = /^[A-Za-z0-9_-]+(\.[a-z0-9]+)?$/;

/** The name of a content's file, with the extension of its first upload. */
export function finalName(filename: string | null, { md5, variant }: { md5: string; variant: number }): string {
  const extension = EXTENSION.exec(filename?.toLowerCase() ?? '')?.[0] ?? '';
  return `${md5}${variant > 0 ? `-${variant}` : ''}${extension}`;
}

/** Ids and keys are made by the service, never by a client. @throws StoreError for one that is not a plain name. */
export function requirePlainName(name: string): void {
  if (!PLAIN_NAME.test(name)) throw new StoreError('missing', `${JSON.stringify(name)} is not a name of ours`);
}
