/** Finds the content that an upload is equal to, or that it heals. See docs/decisions/0022-healing.md. */
import type { Readable } from 'node:stream';
import type { DigestSet } from '../../stores/digests/digests.ts';
import { equalStreams } from '../../stores/equal-streams.ts';
import { StoreError } from '../../stores/store.ts';
import type { ContentRecord, UploadRecord } from '../catalog/catalog.ts';
import { endWithoutBytes } from './missing-bytes.ts';
import type { Parts } from './parts.ts';
import { digestStored, digestStream, hasBytes, openStored } from './stored-bytes.ts';

export type VerifiedDigests = DigestSet & { md5: string };

/**
 * - `equal`: the content has the upload's bytes, undamaged.
 * - `damaged`: the content's bytes are gone or damaged; the upload has the bytes that they were.
 */
export type Match = { kind: 'equal' | 'damaged'; content: ContentRecord };

/** An upload with all its bytes, and the lease its caller holds. */
export interface WholeUpload {
  upload: UploadRecord;
  epoch: number;
  computed: VerifiedDigests;
}

/**
 * Finds the content that this upload is equal to. An equal MD5 is no proof: only a SHA-256 on both sides, or a comparison
 * of the bytes, is. And digests describe the bytes as they arrived: before an upload is folded into a content, the stored
 * bytes of that content are read again.
 *
 * @param sameMd5 - all contents with the upload's MD5.
 */
export async function findMatch(
  parts: Parts,
  whole: WholeUpload,
  sameMd5: readonly ContentRecord[],
): Promise<Match | undefined> {
  const damaged: ContentRecord[] = [];
  for (const content of sameMd5) {
    if (content.size !== whole.upload.offset || isProvedOther(content, whole.computed)) continue;
    const outcome = await compare(parts, whole, content);
    if (outcome === 'equal') return { kind: 'equal', content };
    if (outcome === 'unknown') return undefined;
    if (outcome === 'damaged') damaged.push(content);
    else {
      const { id } = whole.upload;
      parts.log.warn({ uploadId: id, md5: content.md5 }, 'different bytes with the same MD5: kept apart');
    }
  }
  for (const content of damaged) {
    if (await heals(parts, whole, content, sameMd5)) return { kind: 'damaged', content };
  }
  return undefined;
}

async function compare(
  parts: Parts,
  whole: WholeUpload,
  content: ContentRecord,
): Promise<'equal' | 'different' | 'damaged' | 'unknown'> {
  if (!(await hasBytes(parts, content))) return 'damaged';
  if (content.size === 0) return 'equal';
  // Takes time in proportion to the size; if it is stopped, the next start publishes the upload.
  if (isProvedEqual(content, whole.computed)) return (await digestStored(parts, content)) ? 'equal' : 'damaged';
  const theirs = await openStored(parts, content);
  if (!theirs) return 'damaged';
  try {
    const ours = await openUpload(parts, whole);
    if (!ours) return 'unknown';
    if (await equalStreams(ours, theirs, parts.stopping)) return 'equal';
  } finally {
    theirs.destroy();
  }
  return (await digestStored(parts, content)) ? 'different' : 'damaged';
}

/**
 * Whether the upload has the bytes that a damaged content had. MD5 and size are enough only where one content has this
 * MD5; where several have it, it does not say which of them is meant.
 */
async function heals(
  parts: Parts,
  whole: WholeUpload,
  content: ContentRecord,
  sameMd5: readonly ContentRecord[],
): Promise<boolean> {
  if (content.size === 0 || isProvedEqual(content, whole.computed)) return true;
  if (content.sha256 === null) return sameMd5.length === 1;
  const ours = await openUpload(parts, whole);
  return ours !== null && (await digestStream(parts, ours, ['sha256'])).sha256 === content.sha256;
}

function isProvedEqual(content: ContentRecord, { sha256 }: DigestSet): boolean {
  return sha256 !== undefined && content.sha256 === sha256;
}

function isProvedOther(content: ContentRecord, { sha256 }: DigestSet): boolean {
  return sha256 !== undefined && content.sha256 !== null && content.sha256 !== sha256;
}

/** Opens the bytes of a complete upload; null where an interrupted publication has already made them final. */
export async function openUpload(
  parts: Parts,
  { upload, epoch }: Omit<WholeUpload, 'computed'>,
): Promise<Readable | null> {
  try {
    return await parts.store.readUpload(upload);
  } catch (error) {
    if (error instanceof StoreError && error.code === 'missing') await endWithoutBytes(parts, upload.id, epoch, error);
    throw error;
  }
}
