/** Implements `Uploads`, what the service's edges may call: begin, view, open a writer. */
import type { UploadRecord } from '../catalog/catalog.ts';
import { createAtOnce } from './at-once.ts';
import { createUpload, refuseToBegin } from './begin.ts';
import type { BeginRequest, FinalRequest, OpenOptions, Uploads, UploadView } from './contract.ts';
import { type ErrorCode, TidemarkError } from './errors.ts';
import type { Finals } from './finals.ts';
import { createGivenUp } from './given-up.ts';
import type { Parts } from './parts.ts';
import { receiveWhole } from './receive-whole.ts';
import { isUnpublished, type Recovery } from './recovery.ts';
import { translated } from './translate.ts';
import { uploadViewOf } from './views.ts';
import type { Writer } from './writer.ts';
import type { Writers } from './writers.ts';

/** How a request for an ended upload is refused. */
const ENDED: Record<'rejected' | 'expired' | 'terminated', ErrorCode> = {
  rejected: 'upload_rejected',
  expired: 'upload_expired',
  terminated: 'upload_terminated',
};

/** Creates `Uploads`. */
export function createUploads(parts: Parts, writers: Writers, recovery: Recovery, finals: Finals): Uploads {
  const { catalog } = parts;

  async function begin(request: BeginRequest): Promise<UploadView> {
    refuseToBegin(parts, request);
    return uploadViewOf(await createUpload(parts, request, null));
  }

  async function beginWriting(request: BeginRequest): Promise<Writer> {
    refuseToBegin(parts, request);
    return finals.watch(await writers.begin(request.id, () => createUpload(parts, request, 'receiving')));
  }

  async function beginFinal(request: FinalRequest): Promise<UploadView> {
    refuseToBegin(parts, request);
    await finals.begin(request);
    return uploadViewOf(await finals.known(await current(request.id, request.owner)));
  }

  async function current(id: string, owner: string): Promise<UploadRecord> {
    const upload = await catalog.findUpload(id);
    if (!upload || upload.owner !== owner) throw new TidemarkError('not_found');
    if (upload.state === 'receiving' || upload.state === 'complete') {
      // An upload with all its bytes does not expire: a look at it publishes it.
      const isExpired = upload.state === 'receiving' && upload.leftMs <= 0 && !isUnpublished(upload);
      if (isExpired && !writers.isHeld(id) && !(await parts.leases.isHeldElsewhere(upload))) {
        if (upload.kind === 'file' || !(await catalog.keepWaiting(id))) throw new TidemarkError('upload_expired');
      }
      return upload;
    }
    throw new TidemarkError(ENDED[upload.state]);
  }

  async function open(id: string, owner: string, { signal, offset }: OpenOptions): Promise<Writer> {
    const upload = await current(id, owner);
    if (offset !== undefined && upload.kind === 'final') throw new TidemarkError('upload_is_final');
    if (upload.state !== 'receiving') await catalog.durable();
    else if (offset !== undefined && offset < upload.offset) {
      throw new TidemarkError('offset_conflict', { offset: upload.offset });
    }
    return finals.watch(await writers.open(upload, { signal }));
  }

  async function view(id: string, owner: string, { often = false } = {}): Promise<UploadView> {
    // Checked first: a stranger must not make another owner's writer commit.
    let upload = await current(id, owner);
    if (upload.kind === 'final' && upload.state === 'receiving' && !isUnpublished(upload)) {
      finals.look(id);
      upload = await finals.known(upload);
      await catalog.durable();
      return uploadViewOf(upload);
    }
    if (upload.state === 'receiving' && !(often && writers.isKeptUp(id))) {
      await writers.catchUp(upload);
      upload = await current(id, owner);
    }
    upload = await settled({ writers, recovery, current }, upload);
    await catalog.durable();
    // Bytes may be stored, and so recorded, long after they have arrived.
    return uploadViewOf({ ...upload, idleMs: Math.min(upload.idleMs, writers.idleMs(id)) });
  }

  return {
    begin: (request) => translated(() => begin(request)),
    beginWriting: (request) => translated(() => beginWriting(request)),
    beginFinal: (request) => translated(() => beginFinal(request)),
    current: (id, owner) => translated(async () => uploadViewOf(await current(id, owner))),
    view: (id, owner, options) => translated(() => view(id, owner, options)),
    open: (id, owner, options) => translated(() => open(id, owner, options)),
    ...createAtOnce(parts, writers),
    ...createGivenUp(parts, writers, { current, view, watch: (writer) => finals.watch(writer) }),
    markConnection: () => writers.markConnection(),
    markComing: (id) => writers.markComing(id),
    receiveWhole: (request, source, signal) =>
      translated(() => receiveWhole(parts, beginWriting, request, source, signal)),
  };
}

/** What brings an upload up to date. */
interface Settling {
  writers: Writers;
  recovery: Recovery;
  /** Reads its row. */
  current: (id: string, owner: string) => Promise<UploadRecord>;
}

/** Recovers the upload where necessary, and publishes it where it has all its bytes. @returns its row then. */
async function settled({ writers, recovery, current }: Settling, seen: UploadRecord): Promise<UploadRecord> {
  const { id, owner } = seen;
  for (let upload = seen; ; upload = await current(id, owner)) {
    if (upload.state !== 'receiving') return upload;
    // Read first: the lease may be released while `isPublishing` waits for the catalog.
    const released = writers.released(id);
    if (await writers.isPublishing(upload)) {
      await (released ?? writers.untilTold(id));
      continue;
    }
    const isLeft = writers.needsRecovery(upload) && !writers.isWanted(id);
    if (!recovery.isRunning(id) && !isUnpublished(upload) && !isLeft) return upload;
    const isDone = await recovery.recover(upload);
    const now = await current(id, owner);
    if (now.state !== 'receiving' || !isUnpublished(now)) return now;
    // Another request has the lease, or is next. Wait for it: a client would take an upload with all bytes for complete.
    if (!isDone) await (writers.released(id) ?? writers.untilTold(id));
  }
}
