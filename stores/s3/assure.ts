/** Finds out, without reading them, whether a content's bytes in the bucket are those that were stored; see `Store.assure`. */
import { createHash } from 'node:crypto';
import type { Ledger, SealedContent, StoredUpload } from '../store.ts';
import { bare } from './multiparts.ts';
import type { Objects } from './objects.ts';
import type { UploadState } from './state.ts';

/** An MD5, as ETags have it. */
const MD5 = /^[\da-f]{32}$/;

/**
 * Looks at the object's ETag. A bucket checks its own bytes, so the object has not changed since it had this ETag. It is known
 * from an earlier look, or follows from the MD5s of the bytes: of all of them, or of the parts, which are those of an
 * equal upload, as parts have fixed places. Where it does not (OSS's of several parts; encryption), it is the seal from now on.
 */
export async function assureContent(
  upload: StoredUpload,
  content: SealedContent,
  {
    objects,
    ledger,
    state,
  }: { objects: Pick<Objects, 'head'>; ledger: Pick<Ledger, 'parts'>; state: UploadState | null },
): Promise<{ isSound: boolean; seal: string | null }> {
  const found = await objects.head(content.key);
  if (found?.size !== content.size) return { isSound: false, seal: null };
  const { etag } = found;
  // Where the answer has none, the object is read each time.
  if (etag === '') return { isSound: false, seal: null };
  const isKnown = etag === content.seal || etag === content.md5 || etag === (await etagOfParts(upload, ledger, state));
  return isKnown ? { isSound: true, seal: null } : { isSound: false, seal: etag };
}

/** The ETag that S3 gives an object of this upload's parts; undefined where it was not sent in parts, or it cannot be known. */
async function etagOfParts(
  upload: StoredUpload,
  ledger: Pick<Ledger, 'parts'>,
  state: UploadState | null,
): Promise<string | undefined> {
  const parts = await ledger.parts(upload.id);
  const md5s = parts.map(({ etag }) => bare(etag));
  const end = parts.reduce((sum, { size }) => sum + size, 0);
  if (state?.tail && end < upload.offset) md5s.push(state.tail.md5);
  if (parts.length === 0 || !md5s.every((md5) => MD5.test(md5))) return undefined;
  const hash = createHash('md5').update(Buffer.from(md5s.join(''), 'hex'));
  return `${hash.digest('hex')}-${md5s.length}`;
}
