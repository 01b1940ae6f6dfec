/** Recovers an upload that nobody writes to after a crash, and publishes it where it has all its bytes. */
import type { UploadRecord } from '../catalog/catalog.ts';
import type { Parts } from './parts.ts';
import type { Writer } from './writer.ts';
import type { Writers } from './writers.ts';

export interface Recovery {
  isRunning(id: string): boolean;
  /**
   * Recovers an upload, and publishes it where it has all its bytes, unless a request writes to it. Requests of this process
   * that call it meanwhile wait for the same recovery: an offset reported before its end would be outdated at once.
   *
   * @returns false where a request has the lease or waits for it, or where the row has changed since it was read: then
   *   nothing was done.
   * @throws where the upload has all its bytes and could not be published.
   */
  recover(upload: UploadRecord): Promise<boolean>;
}

/** Prepares the recovery. */
export function createRecovery(parts: Pick<Parts, 'catalog' | 'log'>, writers: Writers): Recovery {
  const running = new Map<string, Promise<boolean>>();

  async function recover(upload: UploadRecord): Promise<boolean> {
    let writer: Writer | undefined;
    try {
      // A request that asks for the lease meanwhile aborts the recovery. It waits for the publication, which is short.
      writer = await writers.openIfFree(upload);
      if (writer?.upload.state === 'receiving' && isUnpublished(writer.upload)) await writer.finish();
      return writer !== undefined;
    } catch (error) {
      // The committed offset is still valid: a full disk or a busy writer must not hide it. But with all bytes committed,
      // a client would take the upload for complete, which it is not: then the error goes to the client.
      const now = await parts.catalog.findUpload(upload.id);
      if (now?.state !== 'receiving' || isUnpublished(now)) throw error;
      parts.log.warn({ uploadId: upload.id, err: error }, 'upload not recovered yet');
      return true;
    } finally {
      await writer?.release();
    }
  }

  return {
    isRunning: (id) => running.has(id),
    recover: (upload) => {
      const { id } = upload;
      const recovering = running.get(id) ?? recover(upload).finally(() => running.delete(id));
      running.set(id, recovering);
      return recovering;
    },
  };
}

/** Whether all bytes of an upload are committed. */
export function isWhole(upload: Pick<UploadRecord, 'offset' | 'size'>): boolean {
  return upload.offset === upload.size;
}

/** Whether a receiving upload only lacks its publication. A partial is never published. */
export function isUnpublished(upload: Pick<UploadRecord, 'offset' | 'size' | 'kind'>): boolean {
  return isWhole(upload) && upload.kind !== 'partial';
}
