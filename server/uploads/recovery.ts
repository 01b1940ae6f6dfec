/** What a crash left of an upload that nobody writes to: recovered, and published where it has all its bytes. */
import type { UploadRecord } from '../catalog/catalog.ts';
import type { Parts } from './parts.ts';
import type { Writer } from './writer.ts';
import type { Writers } from './writers.ts';

export interface Recovery {
  isRunning(id: string): boolean;
  /**
   * Recovers and publishes an upload, unless somebody writes to it. All who ask in this process meanwhile wait for the
   * same: an offset told before would be outdated at once.
   *
   * @returns false where somebody has its lease or is about to, or the row is not as it was read: nothing was done.
   * @throws where it has all its bytes and could not be published.
   */
  recover(upload: UploadRecord): Promise<boolean>;
}

export function createRecovery(parts: Pick<Parts, 'catalog' | 'log'>, writers: Writers): Recovery {
  const running = new Map<string, Promise<boolean>>();

  async function recover(upload: UploadRecord): Promise<boolean> {
    let writer: Writer | undefined;
    try {
      // A request that asks for the lease meanwhile ends the recovery; a publication is short.
      writer = await writers.openIfFree(upload);
      if (writer?.upload.state === 'receiving' && isWhole(writer.upload)) await writer.finish();
      return writer !== undefined;
    } catch (error) {
      // The committed offset still holds; a full disk or a busy writer must not hide it. But
      // an upload that has all its bytes would seem complete by it, and it is not.
      const now = await parts.catalog.findUpload(upload.id);
      if (now?.state !== 'receiving' || isWhole(now)) throw error;
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

/** Whether the ledger has all bytes of an upload. */
export function isWhole(upload: Pick<UploadRecord, 'offset' | 'size'>): boolean {
  return upload.offset === upload.size;
}
