/** The life of an upload: begin, receive, verify, publish, end. */
import type { Readable } from 'node:stream';
import type { UploadRecord } from '../catalog/catalog.ts';
import type { BeginRequest, Published, Uploads } from './contract.ts';
import { type ErrorCode, TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';
import { refuseTooLarge } from './receive.ts';
import { translated } from './translate.ts';
import type { Writer } from './writer.ts';
import type { Writers } from './writers.ts';

/** What an ended upload answers. */
const ENDED: Record<'rejected' | 'expired' | 'terminated', ErrorCode> = {
  rejected: 'upload_rejected',
  expired: 'upload_expired',
  terminated: 'upload_terminated',
};

/** When another one may have ended; they expire in the course of minutes. */
const RETRY_AFTER_S = '60';

export function createUploads(parts: Parts, writers: Writers): Uploads {
  const { catalog, store, limits, clock } = parts;
  /** Uploads that are being taken up after a crash. */
  const settling = new Map<string, Promise<void>>();

  async function begin({ id, owner, declaration }: BeginRequest): Promise<UploadRecord> {
    if (parts.stopping.aborted) throw parts.stopping.reason;
    refuseTooLarge(limits, declaration.size ?? 0);
    // Its bytes count from here on, while there are none.
    const createdAt = clock.steady();
    const expiresAt = clock.latest() + limits.uploadTtlMs;
    const created = { ...declaration, id, owner, createdAt, expiresAt };
    const upload: UploadRecord = {
      ...created,
      state: 'receiving',
      offset: 0,
      snapshot: null,
      epoch: 1,
      bootId: null,
      storeState: null,
      reason: null,
      fileId: null,
      lastByteAt: createdAt,
    };
    // Before anyone can see it: whoever takes its lease first is to find that out here.
    writers.markCreated(upload);
    try {
      const isRoom = await catalog.createUpload(created, limits.maxOpenUploads);
      if (!isRoom) throw new TidemarkError('too_many_uploads', { headers: { 'Retry-After': RETRY_AFTER_S } });
    } catch (error) {
      writers.forget(id);
      throw error;
    }
    try {
      await store.createUpload(upload);
    } catch (error) {
      writers.forget(id);
      await catalog.endUpload(id, null, 'terminated', 'no_room', clock.latest());
      throw error;
    }
    return upload;
  }

  async function current(id: string, owner: string): Promise<UploadRecord> {
    const upload = await catalog.findUpload(id);
    if (!upload || upload.owner !== owner) throw new TidemarkError('not_found');
    if (upload.state === 'receiving' || upload.state === 'complete') {
      // One with all its bytes is not given up: it is published by whoever looks.
      const expired = upload.state === 'receiving' && clock.earliest() >= upload.expiresAt && !isWhole(upload);
      if (expired && !writers.isHeld(id)) {
        throw new TidemarkError('upload_expired');
      }
      return upload;
    }
    throw new TidemarkError(ENDED[upload.state]);
  }

  async function view(id: string, owner: string, { often = false } = {}): Promise<UploadRecord> {
    // Nobody has a stranger's upload disturbed.
    let upload = await current(id, owner);
    if (upload.state === 'receiving' && !(often && writers.isKeptUp(id))) {
      await writers.catchUp(id);
      upload = await current(id, owner);
    }
    while (upload.state === 'receiving' && (writers.isPublishing(id) || (isWhole(upload) && writers.isHeld(id)))) {
      // Its writer is publishing: "complete" is only said once that is done.
      await writers.released(id);
      upload = await current(id, owner);
    }
    const behind = writers.needsRecovery(upload) && !writers.isWanted(id);
    if (settling.has(id) || (upload.state === 'receiving' && (isWhole(upload) || behind))) {
      await settleOnce(upload);
      upload = await current(id, owner);
    }
    await catalog.durable();
    // The ledger learns of bytes when they are stored, which may be long after they came.
    return { ...upload, lastByteAt: Math.max(upload.lastByteAt, writers.lastArrivalAt(id)) };
  }

  /**
   * Everyone who looks while an upload is being taken up waits for the same: an offset
   * told meanwhile would be outdated at once, and each new one would interrupt the last.
   */
  function settleOnce(upload: UploadRecord): Promise<void> {
    const running = settling.get(upload.id) ?? settle(upload).finally(() => settling.delete(upload.id));
    settling.set(upload.id, running);
    return running;
  }

  /** Takes up what a crash left: bytes beyond the last commit, a publication that did not happen. */
  async function settle(upload: UploadRecord): Promise<void> {
    let writer: Writer | undefined;
    try {
      // A request that asks for the lease meanwhile ends the recovery (see writers.ts); a publication is short.
      writer = await writers.open(upload, { signal: parts.stopping });
      if (writer.upload.state === 'receiving' && isWhole(writer.upload)) await writer.finish();
    } catch (error) {
      // The committed offset still holds; a full disk or a busy writer must not hide it. But
      // an upload that has all its bytes would seem complete by it, and it is not.
      const now = await catalog.findUpload(upload.id);
      if (now?.state !== 'receiving' || isWhole(now)) throw error;
      parts.log.warn({ uploadId: upload.id, err: error }, 'upload not recovered yet');
    } finally {
      await writer?.release();
    }
  }

  async function receiveWhole(
    { reuseFile, ...request }: Omit<BeginRequest, 'id'> & { reuseFile: boolean },
    source: Readable,
    signal: AbortSignal,
  ): Promise<Published> {
    const id = parts.surroundings.newId();
    const upload = await begin({ id, ...request });
    // Never aborted: nobody else knows the id, so there is nothing to wait for, and the cleanup needs the lease.
    const writer = await writers.open(upload, { signal: new AbortController().signal });
    try {
      const received = await writer.append(source, {
        signal,
        maxBytes: limits.maxFileSizeBytes ?? Number.MAX_SAFE_INTEGER,
      });
      if (received.interrupted !== undefined) {
        throw new TidemarkError('incomplete_form', { cause: received.interrupted });
      }
      await writer.declareLength(received.offset);
      return await writer.finish({ reuseFile });
    } catch (error) {
      try {
        await writer.end('form_failed');
      } catch (cause) {
        parts.log.warn({ uploadId: id, err: cause }, 'what arrived of a form stays until it expires');
      }
      throw error;
    } finally {
      await writer.release();
    }
  }

  return {
    begin: (request) => translated(() => begin(request)),
    current: (id, owner) => translated(() => current(id, owner)),
    view: (id, owner, options) => translated(() => view(id, owner, options)),
    open: (upload, options) => translated(() => writers.open(upload, options)),
    markConnection: () => writers.markConnection(),
    markComing: (id) => writers.markComing(id),
    receiveWhole: (request, source, signal) => translated(() => receiveWhole(request, source, signal)),
  };
}

/** Whether the ledger has all bytes of an upload. */
export function isWhole(upload: Pick<UploadRecord, 'offset' | 'size'>): boolean {
  return upload.offset === upload.size;
}
