/** Whether a published file has the bytes that were chosen: before it is called done. */
import type { FileJson } from '../../../server/wire/files.ts';
import { check, type Content, getFile } from './api.ts';
import type { Item } from './item.ts';

/** What is known of the bytes, and of the upload that brought them. */
type Compared = Pick<Item, 'md5' | 'sha256' | 'size' | 'urlSha256' | 'adopted'>;

export function contentOf({ md5, sha256, size }: Pick<Item, 'md5' | 'sha256' | 'size'>): Content {
  return { md5: md5 ?? '', sha256, size };
}

/**
 * The published file, where it has the item's bytes. Those that all came from here, under an MD5
 * that the service computed of them, are known by it; where others had a hand in it, the service
 * is asked to compute the SHA-256.
 */
export async function compare(item: Compared, file: FileJson): Promise<FileJson | 'differs' | 'adoptedDiffers'> {
  const { md5, sha256, size } = item;
  if (file.md5 !== md5 || file.size !== size) return 'differs';
  const isProven = item.urlSha256 !== null && (item.adopted === null || item.adopted.isOurs);
  if (file.sha256 !== undefined) return file.sha256 === sha256 ? file : 'adoptedDiffers';
  if (isProven) return file;
  const known = await check(contentOf(item));
  const computed = await getFile(file.id);
  const isOther = computed.sha256 === undefined ? known.status === 'exists' : computed.sha256 !== sha256;
  return isOther ? 'adoptedDiffers' : computed;
}
