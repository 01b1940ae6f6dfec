/** The life of an upload: begin, receive, verify, publish, end. */
import type { Readable } from 'node:stream';
import type { UploadRecord } from '../catalog/catalog.ts';
import type { BeginRequest, Published, Uploads } from './contract.ts';
import { type ErrorCode, TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';
import { refuseTooLarge } from './receive.ts';
import { isWhole, type Recovery } from './recovery.ts';
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

export function createUploads(parts: Parts, writers: Writers, recovery: Recovery): Uploads {
  const { catalog, store, limits, clock } = parts;

  function refuse({ declaration }: Pick<BeginRequest, 'declaration'>): void {
    if (parts.stopping.aborted) throw parts.stopping.reason;
    refuseTooLarge(limits, declaration.size ?? 0);
  }

  async function begin(request: BeginRequest): Promise<UploadRecord> {
    refuse(request);
    return create(request, null);
  }

  async function beginWriting(request: BeginRequest): Promise<Writer> {
    refuse(request);
    return writers.begin(request.id, () => create(request, 'receiving'));
  }

  async function create({ id, owner, declaration }: BeginRequest, phase: 'receiving' | null): Promise<UploadRecord> {
    // Its bytes count from here on, while there are none.
    const createdAt = clock.steady();
    const expiresAt = clock.latest() + limits.uploadTtlMs;
    const created = { ...declaration, id, owner, createdAt, expiresAt, holder: parts.leases.node, phase };
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
    const isRoom = await catalog.createUpload(created, limits.maxOpenUploads);
    if (!isRoom) throw new TidemarkError('too_many_uploads', { headers: { 'Retry-After': RETRY_AFTER_S } });
    try {
      await store.createUpload(upload);
    } catch (error) {
      await catalog.endUpload(id, null, 'terminated', 'no_room', clock.latest());
      throw error;
    }
    return upload;
  }

  async function current(id: string, owner: string): Promise<UploadRecord> {
    const upload = await catalog.findUpload(id);
    if (!upload || upload.owner !== owner) throw new TidemarkError('not_found');
    if (upload.state === 'receiving' || upload.state === 'complete') {
      // One with all its bytes is not given up: looking at it publishes it.
      const isExpired = upload.state === 'receiving' && clock.earliest() >= upload.expiresAt && !isWhole(upload);
      if (isExpired && !writers.isHeld(id) && !(await parts.leases.isHeldElsewhere(upload))) {
        throw new TidemarkError('upload_expired');
      }
      return upload;
    }
    throw new TidemarkError(ENDED[upload.state]);
  }

  async function view(id: string, owner: string, { often = false } = {}): Promise<UploadRecord> {
    // A stranger cannot disturb the upload of another owner.
    let upload = await current(id, owner);
    if (upload.state === 'receiving' && !(often && writers.isKeptUp(id))) {
      await writers.catchUp(upload);
      upload = await current(id, owner);
    }
    while (upload.state === 'receiving' && (await writers.isPublishing(upload))) {
      // "Complete" is only said once it is published.
      await writers.released(id);
      upload = await current(id, owner);
    }
    const isLeft = writers.needsRecovery(upload) && !writers.isWanted(id);
    if (recovery.isRunning(id) || (upload.state === 'receiving' && (isWhole(upload) || isLeft))) {
      await recovery.recover(upload);
      upload = await current(id, owner);
    }
    await catalog.durable();
    // The ledger learns of bytes when they are stored, which may be long after they came.
    return { ...upload, lastByteAt: Math.max(upload.lastByteAt, writers.lastArrivalAt(id)) };
  }

  async function receiveWhole(
    { reuseFile, ...request }: Omit<BeginRequest, 'id'> & { reuseFile: boolean },
    source: Readable,
    signal: AbortSignal,
  ): Promise<Published> {
    const id = parts.surroundings.newId();
    const writer = await beginWriting({ id, ...request });
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
    beginWriting: (request) => translated(() => beginWriting(request)),
    current: (id, owner) => translated(() => current(id, owner)),
    view: (id, owner, options) => translated(() => view(id, owner, options)),
    open: (upload, options) => translated(() => writers.open(upload, options)),
    markConnection: () => writers.markConnection(),
    markComing: (id) => writers.markComing(id),
    receiveWhole: (request, source, signal) => translated(() => receiveWhole(request, source, signal)),
  };
}
