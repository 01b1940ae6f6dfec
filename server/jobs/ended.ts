/** Ended uploads: removes what the store still keeps of them, and after a while their rows. */
import type { UploadRecord } from '../catalog/catalog.ts';
import { REMEMBER_ENDED_MS } from '../uploads/contract.ts';
import { discard } from '../uploads/discard.ts';
import { BATCH, eachRow, type Job, type JobParts, whileClaimed } from './job.ts';

const EVERY_MS = 60_000;
const CLAIMED_FOR_MS = 600_000;

/** Cleans up ended uploads, and removes nodes and claims that have expired from the catalog. */
export function endedJob(parts: JobParts): Job {
  const { catalog } = parts;

  async function round(): Promise<void> {
    await discardLeft(parts);
    while (!parts.stopping.aborted && (await catalog.forgetEnded(REMEMBER_ENDED_MS, BATCH)) === BATCH);
    await catalog.forgetNodes();
    await catalog.forgetClaims();
  }

  return { name: 'looking over ended uploads', everyMs: EVERY_MS, round };
}

/** Cleans up uploads that ended while the store could not be reached, or just before a crash. */
async function discardLeft(parts: JobParts): Promise<void> {
  const { catalog, writers } = parts;
  await eachRow<UploadRecord>(
    parts,
    'removal of what an upload left',
    (after) => catalog.listUndiscarded(after?.id ?? '', BATCH),
    async (upload) => {
      // The request that ended it is still cleaning up.
      if (writers.isHeld(upload.id)) return;
      await whileClaimed(parts, `what is left of ${upload.id}`, CLAIMED_FOR_MS, () => discardEnded(parts, upload));
    },
  );
}

/** Removes what the store keeps of an upload that has ended. */
export async function discardEnded(parts: JobParts, upload: UploadRecord): Promise<void> {
  const { catalog, store } = parts;
  // A published upload may share a content that was there before, so that its own bytes are superfluous. If its file was
  // deleted, its bytes may still be the content of other files.
  const key = store.keyFor(upload, { md5: upload.md5 ?? '', variant: 0 });
  const isContent = (await catalog.filterKeys([key])).has(key);
  await discard(parts, upload, isContent ? 'keep' : 'remove');
}
