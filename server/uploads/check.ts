/** The pre-check: is this content here already, or on its way? */
import type { ContentRecord, FileRecord, ReceivingQuery } from '../catalog/catalog.ts';
import type { CheckQuery, CheckResult, ResumePoint, Uploads } from './contract.ts';
import { idleSeconds } from './idle.ts';
import { checkName, typeOfName } from './names.ts';
import type { Parts } from './parts.ts';
import { digestStored, hasBytes } from './stored-bytes.ts';
import type { Writers } from './writers.ts';

/** How recent the last byte must be for an upload to count as being on its way. */
const LATELY_MS = 30_000;

/** @param onCompared - told of each content whose SHA-256 was compared with the one that is asked for. */
export type Check = (query: CheckQuery, onCompared: (content: ContentRecord) => void) => Promise<CheckResult>;

export function createCheck(parts: Parts, writers: Writers, uploads: Uploads): Check {
  const { catalog, limits } = parts;
  /** SHA-256 computations under way, by content: two clients asking cost one reading. */
  const computing = new Map<number, Promise<string | undefined>>();

  async function check(query: CheckQuery, onCompared: (content: ContentRecord) => void): Promise<CheckResult> {
    if (query.filename !== undefined) checkName(query.filename, 'filename');
    const content = await findContent(query, onCompared);
    // A client does not send what exists, and may have no other copy.
    if (content && (await hasBytes(parts, content))) {
      const file = await fileFor(content, query);
      // A content that was deleted meanwhile is not here any more.
      if (file !== undefined) {
        // The one who published it may not have heard "complete" yet.
        await catalog.durable();
        return { status: 'exists', content, file };
      }
    }
    return findUnfinished(query);
  }

  /** The content the asking owner may learn of, if it is the one that was meant. */
  async function findContent(
    query: CheckQuery,
    onCompared: (content: ContentRecord) => void,
  ): Promise<ContentRecord | undefined> {
    if (limits.instant === 'off') return undefined;
    const sameMd5 = (await catalog.findContents({ md5: query.md5 })).filter(
      (content) => query.size === undefined || content.size === query.size,
    );
    const visible: ContentRecord[] = [];
    for (const content of sameMd5) {
      if (limits.instant === 'all' || (await catalog.ownsContent(query.owner, content.id))) visible.push(content);
    }
    if (query.sha256 === undefined) {
      // Different contents with this MD5 are here: it cannot say which of them is meant.
      return sameMd5.length === 1 ? visible[0] : undefined;
    }
    for (const content of visible) {
      const sha256 = content.sha256 ?? (await sha256Of(content));
      if (sha256 !== undefined) onCompared(content);
      if (sha256 === query.sha256) return content;
    }
    return undefined;
  }

  /**
   * MD5 names, it does not prove: a client that gives a SHA-256 has it compared, computed once if need be.
   * Undefined when the bytes are gone or damaged: then they may be sent anew.
   */
  async function sha256Of(content: ContentRecord): Promise<string | undefined> {
    const running = computing.get(content.id) ?? computeSha256(content);
    computing.set(content.id, running);
    try {
      return await running;
    } finally {
      computing.delete(content.id);
    }
  }

  async function computeSha256(content: ContentRecord): Promise<string | undefined> {
    const sha256 = (await digestStored(parts, content, ['sha256']))?.sha256;
    if (sha256 !== undefined) await catalog.addDigests(content.id, { sha256 });
    return sha256;
  }

  /** The owner's file of the content: made when a name is given; null when there is none and none is asked for. */
  async function fileFor(content: ContentRecord, query: CheckQuery): Promise<FileRecord | null | undefined> {
    if (query.filename === undefined) {
      return (await catalog.findFileOfContent(content.id, query.owner, 'latest')) ?? null;
    }
    const file = {
      id: parts.surroundings.newId(),
      owner: query.owner,
      name: query.filename,
      type: typeOfName(query.filename),
      uploadedAt: parts.clock.now(),
    };
    return catalog.addFile(content.id, file, parts.clock.latest());
  }

  async function findUnfinished({ md5, owner, ...query }: CheckQuery): Promise<CheckResult> {
    const meant = { md5, size: query.size ?? null, sha256: query.sha256 ?? null };
    const own = await findLatest({ ...meant, owner });
    const latest = limits.instant === 'all' ? await findLatest({ ...meant, owner: null }) : own;
    const resume = own ? await resumePoint(own.uploadId, owner) : null;
    return { status: latest && parts.clock.steady() - latest.byteAt < LATELY_MS ? 'uploading' : 'notfound', resume };
  }

  /** Of the unfinished uploads that are meant, the one whose last byte came latest; 0 where none has come. */
  async function findLatest(
    meant: Pick<ReceivingQuery, 'md5' | 'owner' | 'size' | 'sha256'>,
  ): Promise<{ uploadId: string; byteAt: number } | undefined> {
    const { md5, owner, size, sha256 } = meant;
    const arrival = writers.findLastArrival(
      (upload) =>
        upload.md5 === md5 &&
        (owner === null || upload.owner === owner) &&
        (size === null || upload.size === null || upload.size === size) &&
        // MD5 names, it does not prove: bytes of another content, or of none that is known, are not these.
        (sha256 === null || upload.sha256 === sha256),
    );
    const query = { ...meant, now: parts.clock.earliest() };
    const stored = await catalog.findReceiving({ ...query, minOffset: 1 });
    // What has come may not be stored yet; what came to another process is seen once it is.
    if (arrival && arrival.at >= (stored?.lastByteAt ?? 0)) return { uploadId: arrival.upload.id, byteAt: arrival.at };
    if (stored) return { uploadId: stored.id, byteAt: stored.lastByteAt };
    const empty = await catalog.findReceiving({ ...query, minOffset: 0 });
    return empty && { uploadId: empty.id, byteAt: 0 };
  }

  async function resumePoint(uploadId: string, owner: string): Promise<ResumePoint | null> {
    try {
      const viewed = await uploads.view(uploadId, owner, { often: true });
      return {
        uploadId: viewed.id,
        offset: viewed.offset,
        length: viewed.size,
        idleSeconds: idleSeconds(viewed, parts.clock),
      };
    } catch (error) {
      parts.log.info({ uploadId, err: error }, 'an unfinished upload cannot be resumed');
      return null;
    }
  }

  return check;
}
