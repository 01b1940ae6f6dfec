/** Sweeping: what crashes and absent clients leave behind goes; finished files never do. */
import type { UploadRecord } from '../catalog/catalog.ts';
import { discard } from './discard.ts';
import { removeBytes } from './files.ts';
import type { Parts } from './parts.ts';
import type { Uploads } from './contract.ts';
import { isWhole } from './uploads.ts';
import type { Writers } from './writers.ts';

/** How long an ended upload answers 410 rather than 404. */
export const REMEMBER_ENDED_MS = 7 * 24 * 3_600_000;
const SWEEP_EVERY_MS = 60_000;
/** What a crash left of an upload that went on is a stray once that has ended. */
const LOOK_FOR_STRAYS_EVERY_MS = 24 * 3_600_000;
const BATCH = 100;

export interface Sweeper {
  /** Removals that were cut short: before the first request, as it may publish anew under one of their keys. */
  sweepRemovals(): Promise<void>;
  /** Publications that were cut short and everything else, at once and then every minute, until the service stops. */
  run(): Promise<void>;
}

export function createSweeper(parts: Parts, writers: Writers, uploads: Uploads): Sweeper {
  const { catalog, store, log } = parts;

  async function sweepRemovals(): Promise<void> {
    for (const key of await catalog.listRemovals(Number.MAX_SAFE_INTEGER)) await removeBytes(parts, key);
  }

  /** Removals that failed while the service ran. */
  async function sweepUnremoved(): Promise<void> {
    for (const [key, md5] of parts.unremoved) {
      if (parts.stopping.aborted) return;
      await parts.contentMutex.run(md5, async () => {
        // Published anew under its key: the bytes are a content's again.
        if ((await catalog.filterKeys([key])).has(key)) parts.unremoved.delete(key);
        else await removeBytes(parts, key, md5);
      });
      // The store is not well: this one comes last in the next round.
      if (parts.unremoved.has(key)) return;
    }
  }

  async function run(): Promise<void> {
    await attempt(undefined, 'publication', sweepUnpublished);
    await attempt(undefined, 'looking over unfinished uploads', sweepUnfinished);
    await attempt(undefined, 'looking over contents', reportStrays);
    let lookedAt = parts.clock.steady();
    while (!parts.stopping.aborted) {
      if (parts.clock.steady() - lookedAt > LOOK_FOR_STRAYS_EVERY_MS) {
        lookedAt = parts.clock.steady();
        await attempt(undefined, 'looking over unfinished uploads', sweepUnfinished);
      }
      await attempt(undefined, 'keeping the time', () => catalog.setMeta('clock', parts.clock.keep()));
      await attempt(undefined, 'expiry', sweepExpired);
      await attempt(undefined, 'removal of deleted contents', sweepUnremoved);
      await attempt(undefined, 'looking over ended uploads', sweepUndiscarded);
      await parts.surroundings.wait(SWEEP_EVERY_MS, { signal: parts.stopping, ref: false }).catch(() => undefined);
    }
  }

  /** After a start: uploads that have all their bytes. Whoever asks for one of them meanwhile has it published, too. */
  async function sweepUnpublished(): Promise<void> {
    for (const { id } of await catalog.listUnpublished(Number.MAX_SAFE_INTEGER)) {
      if (parts.stopping.aborted) return;
      if (!writers.isHeld(id)) await attempt(id, 'publication', () => settle(id));
    }
  }

  /** After a start, and daily: bytes of no upload go; those of uploads are taken up, and published if complete. */
  async function sweepUnfinished(): Promise<void> {
    if (!store.capabilities.listUnfinished) return;
    for await (const ids of inBatches(store.listUnfinished())) {
      if (parts.stopping.aborted) return;
      await sweepIds(ids);
    }
  }

  async function sweepIds(ids: string[]): Promise<void> {
    const receiving = await catalog.filterReceiving(ids);
    for (const id of ids) {
      if (parts.stopping.aborted) return;
      if (receiving.has(id)) {
        if (!writers.isHeld(id)) await attempt(id, 'recovery', () => recover(id));
      } else if (!writers.isHeld(id)) {
        log.info({ uploadId: id }, 'bytes of no upload under way are looked after');
        await attempt(id, 'removal of stray bytes', () => removeStrayParts(id));
      }
    }
  }

  async function removeStrayParts(id: string): Promise<void> {
    const upload = await catalog.findUpload(id);
    if (upload) await discardEnded(upload);
    else await discard(parts, { id, storeState: null }, 'unknown');
  }

  /** Uploads that ended while the store could not be reached, or just before a crash. */
  async function sweepUndiscarded(): Promise<void> {
    let after = '';
    for (;;) {
      const batch = await catalog.listUndiscarded(after, BATCH);
      for (const upload of batch) {
        if (parts.stopping.aborted) return;
        after = upload.id;
        // Whoever ended it is at it.
        if (writers.isHeld(upload.id)) continue;
        await attempt(upload.id, 'removal of what an upload left', () => discardEnded(upload));
      }
      if (batch.length < BATCH) return;
    }
  }

  async function discardEnded(upload: UploadRecord): Promise<void> {
    // One that became a file may have been folded into another's content; one whose file was deleted may be a
    // content that others have.
    const key = store.keyFor(upload, { md5: upload.md5 ?? '', variant: 0 });
    const isContent = (await catalog.filterKeys([key])).has(key);
    await discard(parts, upload, isContent ? 'keep' : 'remove');
  }

  /**
   * After a start: tells of final bytes that no content has. They are left alone: where the
   * catalog is an older copy, or another one, they are somebody's files.
   */
  async function reportStrays(): Promise<void> {
    if (!store.capabilities.listContents) return;
    let strays = 0;
    let example: string | undefined;
    for await (const keys of inBatches(store.listContents())) {
      if (parts.stopping.aborted) return;
      const known = await catalog.filterKeys(keys);
      const unknown = keys.filter((key) => !known.has(key));
      strays += unknown.length;
      example ??= unknown[0];
    }
    if (strays > 0)
      log.warn({ strays, example }, 'the store has files that the catalog does not know: see docs/operations.md');
  }

  async function settle(id: string): Promise<void> {
    const upload = await catalog.findUpload(id);
    if (upload?.state === 'receiving') await uploads.view(id, upload.owner);
  }

  async function recover(id: string): Promise<void> {
    const upload = await catalog.findUpload(id);
    if (upload?.state === 'receiving' && writers.needsRecovery(upload)) await uploads.view(id, upload.owner);
  }

  async function sweepExpired(): Promise<void> {
    const now = parts.clock.earliest();
    for (let batch = await catalog.listExpired(now, BATCH); batch.length > 0;) {
      let ended = 0;
      for (const { id } of batch) {
        if (parts.stopping.aborted) return;
        // Its writer is publishing it, which may take longer than its life.
        if (writers.isPublishing(id)) continue;
        if (await attempt(id, 'expiry', () => expire(id))) ended++;
      }
      // Whatever could not be ended now comes again with the next sweep.
      batch = ended === BATCH ? await catalog.listExpired(now, BATCH) : [];
    }
    await catalog.forgetEnded(now - REMEMBER_ENDED_MS);
  }

  async function expire(id: string): Promise<void> {
    const upload = await catalog.findUpload(id);
    if (upload?.state !== 'receiving' || upload.expiresAt > parts.clock.earliest()) return;
    // A holder whose bytes were still coming would have moved the expiry: it is asked to stop, and commits what it has.
    // Held only so long that whoever asks can wait for it.
    const writer = await writers.open(upload, { signal: parts.stopping });
    try {
      const now = writer.upload;
      if (now.state !== 'receiving') return;
      if (isWhole(now)) {
        await writer.finish();
        return;
      }
      // Bytes came meanwhile, or were found.
      if (now.expiresAt > parts.clock.earliest()) return;
      if (!(await catalog.endUpload(id, writer.epoch, 'expired', null, parts.clock.latest()))) return;
      await catalog.durable();
      await discard(parts, now, 'remove');
      writers.forget(id);
      log.info({ uploadId: id, offset: now.offset }, 'upload expired');
    } finally {
      await writer.release();
    }
  }

  async function attempt(uploadId: string | undefined, what: string, action: () => Promise<unknown>): Promise<boolean> {
    try {
      await action();
      return true;
    } catch (error) {
      if (!parts.stopping.aborted) log.warn({ uploadId, err: error }, `sweep: ${what} failed`);
      return false;
    }
  }

  return { sweepRemovals, run };
}

async function* inBatches(items: AsyncIterable<string>): AsyncIterable<string[]> {
  let batch: string[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
