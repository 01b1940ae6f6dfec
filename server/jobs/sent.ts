/** Uploads by links that were revoked: they end, if the request that revoked the link has not ended them. */
import type { SentPlace } from '../catalog/sent-uploads.ts';
import { endUnlessWhole } from '../links/end-sent.ts';
import { BATCH, eachRow, type Job, type JobParts, whileClaimed } from './job.ts';

const NAME = 'ending uploads of revoked links';
const EVERY_MS = 60_000;
const CLAIMED_FOR_MS = 600_000;

/** Ends uploads whose link is revoked, or forgotten; one node at a time does. */
export function sentJob(parts: JobParts): Job {
  const { catalog, writers, stopping } = parts;

  async function round(): Promise<void> {
    await eachRow<SentPlace>(parts, NAME, (after) => catalog.listWithoutLink(after, BATCH), end);
  }

  async function end({ id }: SentPlace): Promise<void> {
    const upload = await catalog.findUpload(id);
    if (upload?.state === 'receiving') await endUnlessWhole(() => writers.open(upload, { signal: stopping }));
  }

  return { name: NAME, everyMs: EVERY_MS, round: () => whileClaimed(parts, NAME, CLAIMED_FOR_MS, round) };
}
