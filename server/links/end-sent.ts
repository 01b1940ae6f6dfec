/** The unfinished uploads of a revoked link end with it. */
import type { Catalog } from '../catalog/catalog.ts';
import { MOST_OPEN_OF_LINK } from '../catalog/sent-uploads.ts';
import type { Uploads } from '../uploads/contract.ts';
import type { Writer } from '../uploads/writer.ts';

/** See `Links.endSent`. */
export async function endSent(
  catalog: Pick<Catalog, 'listOpenSent'>,
  linkId: string,
  uploads: Pick<Uploads, 'open'>,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (const { id, owner } of await catalog.listOpenSent(linkId, MOST_OPEN_OF_LINK)) {
      await endUnlessWhole(() => uploads.open(id, owner, { signal })).catch(() => undefined);
    }
  } catch {
    // The job does it.
  }
}

/** Ends an upload, unless it has become a file meanwhile. @throws as `open` and `end`. */
export async function endUnlessWhole(open: () => Promise<Writer>): Promise<void> {
  const writer = await open();
  try {
    if (writer.upload.state === 'receiving') await writer.end('link_revoked');
  } finally {
    await writer.release();
  }
}
