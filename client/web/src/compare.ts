/** Whether a published file has the bytes of the chosen file. The page compares before it shows an upload as done. */
import type { FileJson, OnConflictJson } from '../../../server/wire/files.ts';
import { compare as compareBy, type ProofVerdict } from '../../core/proof.ts';
import { check, type Content, getFile } from './api.ts';
import type { Item } from './item.ts';

/** What the item knows of its bytes, and of the upload that brought them. */
type Compared = Pick<Item, 'md5' | 'sha256' | 'size' | 'adopted' | 'shared'>;

export function contentOf({ md5, sha256, size }: Pick<Item, 'md5' | 'sha256' | 'size'>): Content {
  return { md5: md5 ?? '', sha256, size };
}

/** The name that the item's file is to have, for a check. */
export function namedAs({ name, onConflict }: Pick<Item, 'name' | 'onConflict'>): {
  filename: string;
  onconflict?: OnConflictJson;
} {
  return { filename: name, ...(onConflict === null ? {} : { onconflict: onConflict }) };
}

/** As `compare` of core/proof.ts, for the bytes of an item. */
export function compare(item: Compared, file: FileJson): Promise<{ verdict: ProofVerdict; file: FileJson }> {
  const bytes = { md5: item.md5 ?? '', sha256: item.sha256 ?? '', size: item.size };
  const way = { begun: item.adopted, isShared: item.shared };
  return compareBy(file, bytes, way, { check: (asked) => check(asked), file: getFile });
}
