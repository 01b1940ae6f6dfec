/** Finishes or recovers uploads that a crash or a failure left unpublished or unrecovered, and that no request writes to. */
import type { UploadRecord } from '../catalog/catalog.ts';
import { BATCH, eachRow, type Job, type JobParts } from './job.ts';

/** Each try reads all bytes of an upload without SHA-256: one that fails every time must not keep the store busy. */
const PUBLISH_EVERY_MS = 3_600_000;
/** How often a node checks whether another one left uploads behind. */
const RECOVER_EVERY_MS = 60_000;
/** How often it looks at all uploads although none did: a node of an older version may have left without a trace. */
const LOOK_EVERY_MS = 3_600_000;
/** A process that is alone on its catalog leaves uploads behind only when it dies, and its next start recovers them. */
const ALONE_EVERY_MS = 24 * 3_600_000;

/** Publishes uploads that have all their bytes. A request that reads such an upload publishes it, too. */
export function unpublishedJob(parts: JobParts): Job {
  const { catalog, recovery } = parts;
  const recover = (upload: UploadRecord): Promise<boolean> => recovery.recover(upload);
  return {
    name: 'publication',
    everyMs: PUBLISH_EVERY_MS,
    round: () => eachRow<UploadRecord>(parts, 'publication', (after) => catalog.listUnpublished(after, BATCH), recover),
  };
}

/** Recovers uploads whose holder has died, or released them unrecovered: they may have more bytes than their row says. */
export function abandonedJob(parts: JobParts): Job {
  const { catalog, recovery, surroundings } = parts;
  /** The last look after which nothing was left to do. */
  let looked: { mark: string; atMs: number } | undefined;

  async function round(): Promise<void> {
    const atMs = surroundings.elapsedMs();
    const mark = await catalog.abandonedMark();
    if (looked?.mark === mark && atMs - looked.atMs < LOOK_EVERY_MS) return;
    looked = undefined;
    let left = 0;
    await eachRow<UploadRecord>(
      parts,
      'recovery',
      (after) => catalog.listAbandoned(after, BATCH),
      async (upload) => {
        left += 1;
        // A request that waited for the lease may have left before it got it.
        if (await recovery.recover(upload)) left -= 1;
      },
    );
    if (left === 0) looked = { mark, atMs };
  }

  return { name: 'recovery', everyMs: catalog.isShared ? RECOVER_EVERY_MS : ALONE_EVERY_MS, round };
}
