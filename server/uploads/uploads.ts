/** The life of an upload: begin, receive, verify, publish, end. */
import type { Readable } from 'node:stream';
import { CatalogError, type UploadRecord } from '../catalog/catalog.ts';
import type { Lease } from '../locks/locker.ts';
import type { BeginRequest, Published, Received, Uploads } from './contract.ts';
import { discard } from './discard.ts';
import { type ErrorCode, TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';
import { declareLength, finish, receive, type ReceiveOptions, refuseTooLarge } from './receive.ts';
import { linkSignals } from './signals.ts';
import { translated } from './translate.ts';
import type { Writers } from './writers.ts';

/** What an ended upload answers. */
const ENDED: Record<'rejected' | 'expired' | 'terminated', ErrorCode> = {
  rejected: 'upload_rejected',
  expired: 'upload_expired',
  terminated: 'upload_terminated',
};

/** When another one may have ended; they expire in the course of minutes. */
const RETRY_AFTER_S = '60';

/**
 * @param removeFile - deletes a published file; see files.ts.
 */
export function createUploads(
  parts: Parts,
  writers: Writers,
  removeFile: (id: string, owner: string) => Promise<unknown>,
): Uploads {
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

  async function peek(id: string): Promise<UploadRecord> {
    const upload = await catalog.findUpload(id);
    if (!upload) throw new TidemarkError('not_found');
    return upload;
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
    const behind = writers.needsRecovery(id) && !writers.isWanted(id);
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
    let lease: Lease | undefined;
    try {
      // Who asks for the lease meanwhile ends the recovery (see writers.ts); a publication is short.
      lease = await writers.acquire(upload, { signal: parts.stopping, onAsked: () => undefined });
      const recovered = await catalog.findUpload(upload.id);
      if (recovered?.state === 'receiving' && isWhole(recovered)) {
        await finish(parts, writers, upload.id, lease);
      }
    } catch (error) {
      // The committed offset still holds; a full disk or a busy writer must not hide it. But
      // an upload that has all its bytes would seem complete by it, and it is not.
      const now = await catalog.findUpload(upload.id);
      if (now?.state !== 'receiving' || isWhole(now)) throw error;
      parts.log.warn({ uploadId: upload.id, err: error }, 'upload not recovered yet');
    } finally {
      await lease?.release();
    }
  }

  async function terminate(id: string, lease: Lease): Promise<void> {
    const upload = await catalog.findUpload(id);
    if (upload?.state === 'complete' && upload.fileId) {
      await removeFile(upload.fileId, upload.owner);
      return;
    }
    await drop(id, lease, 'terminated', null);
  }

  async function drop(id: string, lease: Lease, state: 'terminated', reason: string | null): Promise<void> {
    let ended;
    try {
      ended = await catalog.endUpload(id, lease.epoch, state, reason, clock.latest());
    } catch (error) {
      // No room to record it: then the bytes, which may be what fills the disk, go first.
      if (!(error instanceof CatalogError && error.code === 'full')) throw error;
      const upload = await catalog.findUpload(id);
      if (upload?.epoch !== lease.epoch) throw error;
      await store.discardUpload(upload, 'remove');
      ended = await catalog.endUpload(id, lease.epoch, state, reason, clock.latest());
    }
    if (!ended) {
      // Where another holds the lease by now, or has published it, the bytes are theirs.
      const found = (await catalog.findUpload(id))?.state;
      if (found === 'receiving' || found === 'complete') throw new TidemarkError('upload_taken_over');
      return;
    }
    await catalog.durable();
    const upload = await catalog.findUpload(id);
    if (upload) await discard(parts, upload, 'remove');
    writers.forget(id);
  }

  async function receiveWhole(
    { reuseFile, ...request }: Omit<BeginRequest, 'id'> & { reuseFile: boolean },
    source: Readable,
    signal: AbortSignal,
  ): Promise<Published> {
    const id = parts.surroundings.newId();
    const upload = await begin({ id, ...request });
    const stop = new AbortController();
    const lease = await writers.acquire(upload, {
      // Nobody else knows the id, so there is nothing to wait for; and whoever has left needs it to clear up.
      signal: new AbortController().signal,
      onAsked: () => stop.abort(new TidemarkError('upload_taken_over')),
    });
    const linked = linkSignals(signal, stop.signal);
    try {
      const received = await receive(parts, writers, upload, source, {
        lease,
        signal: linked.signal,
        maxBytes: limits.maxFileSizeBytes ?? Number.MAX_SAFE_INTEGER,
      });
      if (received.interrupted !== undefined) {
        throw new TidemarkError('incomplete_form', { cause: received.interrupted });
      }
      await declareLength(parts, writers, lease, received.offset);
      return await finish(parts, writers, id, lease, { reuseFile });
    } catch (error) {
      try {
        await drop(id, lease, 'terminated', 'form_failed');
      } catch (cause) {
        parts.log.warn({ uploadId: id, err: cause }, 'what arrived of a form stays until it expires');
      }
      throw error;
    } finally {
      linked.unlink();
      await lease.release();
    }
  }

  return {
    begin: (request) => translated(() => begin(request)),
    current: (id, owner) => translated(() => current(id, owner)),
    peek: (id) => translated(() => peek(id)),
    view: (id, owner, options) => translated(() => view(id, owner, options)),
    acquire: (upload, options) => translated(() => writers.acquire(upload, options)),
    markConnection: () => writers.markConnection(),
    markComing: (id) => writers.markComing(id),
    receive: (upload, source, options: ReceiveOptions): Promise<Received> =>
      translated(() => receive(parts, writers, upload, source, options)),
    terminate: (id, lease) => translated(() => terminate(id, lease)),
    receiveWhole: (request, source, signal) => translated(() => receiveWhole(request, source, signal)),
  };
}

/** Whether the ledger has all bytes of an upload. */
export function isWhole(upload: Pick<UploadRecord, 'offset' | 'size'>): boolean {
  return upload.offset === upload.size;
}
