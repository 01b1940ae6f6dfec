/** Finds the content that an upload is equal to, or that it heals. See docs/decisions/0022-healing.md. */
import type { Readable } from 'node:stream';
import type { DigestSet } from '../../stores/digests/digests.ts';
import { areComparable } from '../../stores/digests/proof.ts';
import { equalStreams } from '../../stores/equal-streams.ts';
import { StoreError } from '../../stores/store.ts';
import type { ContentRecord, Proof, UploadRecord } from '../catalog/catalog.ts';
import { endWithoutBytes } from './missing-bytes.ts';
import type { Parts } from './parts.ts';
import { digestStored, digestStream, hasBytes, openStored } from './stored-bytes.ts';

export type VerifiedDigests = DigestSet & { md5: string };

/**
 * - `equal`: the content has the upload's bytes, undamaged.
 * - `damaged`: the content's bytes are gone or damaged; the upload has the bytes that they were.
 *
 * `known`: what proves other bytes equal to the content's.
 */
export type Match = { kind: 'equal' | 'damaged'; content: ContentRecord; known: Proof };

const NO_PROOF: Proof = { proof: null, seal: null };

/** An upload with all its bytes, and the lease its caller holds. */
export interface WholeUpload {
  upload: UploadRecord;
  epoch: number;
  computed: VerifiedDigests;
}

/**
 * Finds the content that this upload is equal to. An equal MD5 is no proof: only the service's own proof or a SHA-256 on both
 * sides, or a comparison of the bytes, is. And digests describe the bytes as they arrived: before an upload is folded into a
 * content, the store makes sure of the stored bytes of that content, or they are read again. See docs/decisions/0057.
 *
 * @param sameMd5 - all contents with the upload's MD5.
 */
export async function findMatch(
  parts: Parts,
  whole: WholeUpload,
  sameMd5: readonly ContentRecord[],
): Promise<Match | undefined> {
  const damaged: { content: ContentRecord; known: Proof }[] = [];
  for (const content of sameMd5) {
    if (content.size !== whole.upload.offset || isProvedOther(content, whole.computed)) continue;
    const known = (await parts.catalog.proofOf(content.id)) ?? NO_PROOF;
    const outcome = await compare(parts, whole, content, known);
    if (outcome === 'equal') return { kind: 'equal', content, known };
    if (outcome === 'unknown') return undefined;
    if (outcome === 'damaged') damaged.push({ content, known });
    else {
      const { id } = whole.upload;
      parts.log.warn({ uploadId: id, md5: content.md5 }, 'different bytes with the same MD5: kept apart');
    }
  }
  for (const { content, known } of damaged) {
    if (await heals(parts, whole, { content, known }, sameMd5)) return { kind: 'damaged', content, known };
  }
  return undefined;
}

async function compare(
  parts: Parts,
  whole: WholeUpload,
  content: ContentRecord,
  known: Proof,
): Promise<'equal' | 'different' | 'damaged' | 'unknown'> {
  if (content.size > 0 && isProvedEqual(content, known, whole.computed)) return assure(parts, whole, content, known);
  if (!(await hasBytes(parts, content))) return 'damaged';
  if (content.size === 0) return 'equal';
  // Takes time in proportion to the size; if it is stopped, the next start publishes the upload.
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

/** Makes sure of the bytes of a content to which the upload is equal. Reads them only where the store cannot tell without. */
async function assure(
  parts: Parts,
  { upload }: WholeUpload,
  content: ContentRecord,
  { seal: before }: Proof,
): Promise<'equal' | 'damaged'> {
  const { key, md5, size } = content;
  const { isSound, seal } = await parts.store.assure(upload, { key, md5, size, seal: before });
  if (isSound) return 'equal';
  if (!(await hasBytes(parts, content)) || !(await digestStored(parts, content))) return 'damaged';
  if (seal !== null) await parts.catalog.noteProof(content.id, { seal });
  return 'equal';
}

/**
 * Whether the upload has the bytes that a damaged content had. MD5 and size are enough only where one content has this
 * MD5; where several have it, it does not say which of them is meant.
 */
async function heals(
  parts: Parts,
  whole: WholeUpload,
  { content, known }: Omit<Match, 'kind'>,
  sameMd5: readonly ContentRecord[],
): Promise<boolean> {
  if (content.size === 0 || isProvedEqual(content, known, whole.computed)) return true;
  if (areProofsOther(known, whole.computed)) return false;
  if (content.sha256 === null) return sameMd5.length === 1;
  const ours = await openUpload(parts, whole);
  return ours !== null && (await digestStream(parts, ours, ['sha256'])).sha256 === content.sha256;
}

function isProvedEqual(content: ContentRecord, known: Proof, { sha256, proof }: DigestSet): boolean {
  if (sha256 !== undefined && content.sha256 !== null) return content.sha256 === sha256;
  return proof !== undefined && known.proof === proof;
}

/** Whether the proofs, by one key, differ. */
function areProofsOther(known: Proof, { proof }: DigestSet): boolean {
  return proof !== undefined && known.proof !== null && areComparable(known.proof, proof) && known.proof !== proof;
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
