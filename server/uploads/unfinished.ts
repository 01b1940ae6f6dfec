/** Finds an owner's unfinished uploads of a content: whether one is running, and where it can be resumed. */
import type { ReceivingQuery } from '../catalog/catalog.ts';
import type { CheckQuery, CheckResult, ResumePoint, Uploads } from './contract.ts';
import { idleSeconds } from './idle.ts';
import type { Parts } from './parts.ts';
import type { Writers } from './writers.ts';

/** How recent the last byte must be for an upload to count as `uploading`. */
const LATELY_MS = 30_000;

/** The answer to a check where the owner does not have the content. */
export type Unfinished = Omit<Exclude<CheckResult, { status: 'exists' }>, 'challenge'>;

/** Finds the owner's unfinished uploads of the content that a query means. */
export type FindUnfinished = (query: CheckQuery) => Promise<Unfinished>;

/** Prepares the search among the rows of the catalog and the writers of this process. */
export function createFindUnfinished(parts: Parts, writers: Writers, uploads: Uploads): FindUnfinished {
  const { catalog } = parts;

  async function findUnfinished({ md5, owner, ...query }: CheckQuery): Promise<Unfinished> {
    const meant = { md5, size: query.size ?? null, sha256: query.sha256 ?? null };
    const latest = await findLatest({ ...meant, owner });
    const resume = latest ? await resumePoint(latest.uploadId, owner) : null;
    return { status: latest && latest.idleMs < LATELY_MS ? 'uploading' : 'notfound', resume };
  }

  /** The matching upload whose last byte arrived most recently, and how long ago; Infinity where none has arrived. */
  async function findLatest(
    meant: Pick<ReceivingQuery, 'md5' | 'owner' | 'size' | 'sha256'>,
  ): Promise<{ uploadId: string; idleMs: number } | undefined> {
    const { md5, owner, size, sha256 } = meant;
    const arrival = writers.findLastArrival(
      (upload) =>
        upload.md5 === md5 &&
        upload.owner === owner &&
        // One by a link is its sender's, who goes on with it.
        upload.linkId === null &&
        (size === null || upload.size === null || upload.size === size) &&
        // MD5 does not prove a content. Another SHA-256, or none, means that these may be other bytes.
        (sha256 === null || upload.sha256 === sha256),
    );
    const stored = await catalog.findReceiving({ ...meant, minOffset: 1 });
    // Bytes that have arrived at this process may not be stored yet. Those of another process are seen in the row.
    if (arrival && arrival.idleMs <= (stored?.idleMs ?? Infinity))
      return { uploadId: arrival.upload.id, idleMs: arrival.idleMs };
    if (stored) return { uploadId: stored.id, idleMs: stored.idleMs };
    const empty = await catalog.findReceiving({ ...meant, minOffset: 0 });
    return empty && { uploadId: empty.id, idleMs: Infinity };
  }

  async function resumePoint(uploadId: string, owner: string): Promise<ResumePoint | null> {
    try {
      const viewed = await uploads.view(uploadId, owner, { often: true });
      return {
        uploadId: viewed.id,
        offset: viewed.offset,
        length: viewed.size,
        idleSeconds: idleSeconds(viewed),
      };
    } catch (error) {
      parts.log.info({ uploadId, err: error }, 'an unfinished upload cannot be resumed');
      return null;
    }
  }

  return findUnfinished;
}
