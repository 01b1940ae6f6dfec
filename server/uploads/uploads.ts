/** The life of an upload as the service's edges may ask for it: begin, view, open a writer. */
import type { UploadRecord } from '../catalog/catalog.ts';
import { createUpload, refuseToBegin } from './begin.ts';
import type { BeginRequest, Uploads } from './contract.ts';
import { type ErrorCode, TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';
import { receiveWhole } from './receive-whole.ts';
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

/** Prepares what `Uploads` promises. */
export function createUploads(parts: Parts, writers: Writers, recovery: Recovery): Uploads {
  const { catalog, clock } = parts;

  async function begin(request: BeginRequest): Promise<UploadRecord> {
    refuseToBegin(parts, request);
    return createUpload(parts, request, null);
  }

  async function beginWriting(request: BeginRequest): Promise<Writer> {
    refuseToBegin(parts, request);
    return writers.begin(request.id, () => createUpload(parts, request, 'receiving'));
  }

  async function current(id: string, owner: string): Promise<UploadRecord> {
    const upload = await catalog.findUpload(id);
    if (!upload || upload.owner !== owner) throw new TidemarkError('not_found');
    if (upload.state === 'receiving' || upload.state === 'complete') {
      // An upload with all its bytes does not expire: a look at it publishes it.
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
      // A client hears "complete" only once the upload is published.
      await writers.released(id);
      upload = await current(id, owner);
    }
    const isLeft = writers.needsRecovery(upload) && !writers.isWanted(id);
    if (recovery.isRunning(id) || (upload.state === 'receiving' && (isWhole(upload) || isLeft))) {
      await recovery.recover(upload);
      upload = await current(id, owner);
    }
    await catalog.durable();
    // Bytes may be stored, and so recorded, long after they came.
    return { ...upload, lastByteAt: Math.max(upload.lastByteAt, writers.lastArrivalAt(id)) };
  }

  return {
    begin: (request) => translated(() => begin(request)),
    beginWriting: (request) => translated(() => beginWriting(request)),
    current: (id, owner) => translated(() => current(id, owner)),
    view: (id, owner, options) => translated(() => view(id, owner, options)),
    open: (upload, options) => translated(() => writers.open(upload, options)),
    markConnection: () => writers.markConnection(),
    markComing: (id) => writers.markComing(id),
    receiveWhole: (request, source, signal) =>
      translated(() => receiveWhole(parts, beginWriting, request, source, signal)),
  };
}
