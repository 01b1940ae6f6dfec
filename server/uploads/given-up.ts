/** For clients that give up their earlier requests to an upload, or the upload itself: those requests end. */
import type { UploadRecord } from '../catalog/catalog.ts';
import type { Uploads, UploadView } from './contract.ts';
import { TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';
import { isWhole } from './recovery.ts';
import { translated } from './translate.ts';
import type { Writer } from './writer.ts';
import type { Writers } from './writers.ts';

/** How an upload is read for its owner; see `Uploads`. */
interface Reading {
  current: (id: string, owner: string) => Promise<UploadRecord>;
  view: (id: string, owner: string) => Promise<UploadView>;
  /** See `Finals`. */
  watch: (writer: Writer) => Writer;
}

/** Prepares `fence` and `end`; see `Uploads`. */
export function createGivenUp(
  { catalog }: Pick<Parts, 'catalog'>,
  writers: Writers,
  { current, view, watch }: Reading,
): Pick<Uploads, 'fence' | 'end'> {
  async function fence(id: string, owner: string, signal: AbortSignal): Promise<UploadView> {
    const upload = await current(id, owner);
    // A publication is not interrupted: `view` waits for its end. Nor is the service itself, which writes a final.
    if (
      upload.state === 'receiving' &&
      upload.kind !== 'final' &&
      !isWhole(upload) &&
      !(await writers.isPublishing(upload))
    ) {
      const writer = await writers.open(upload, { signal });
      await writer.release();
      if (writer.upload.state === 'receiving' && !isWhole(writer.upload)) {
        await catalog.durable();
        return writer.upload;
      }
    }
    return view(id, owner);
  }

  async function end(id: string, owner: string, signal: AbortSignal): Promise<void> {
    const upload = await current(id, owner);
    if (upload.state === 'receiving') {
      const writer = watch(await writers.open(upload, { signal }));
      try {
        if (writer.upload.state === 'receiving') await writer.end();
      } finally {
        await writer.release();
      }
      if (writer.upload.state !== 'complete') return;
    }
    if (!(await catalog.forgetComplete(id, owner))) throw new TidemarkError('not_found');
  }

  return {
    fence: (id, owner, signal) => translated(() => fence(id, owner, signal)),
    end: (id, owner, signal) => translated(() => end(id, owner, signal)),
  };
}
