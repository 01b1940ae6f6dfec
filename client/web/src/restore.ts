/** Restores uploads from earlier visits to the page: lists them, asks the service about them, resumes them. */
import type { FileJson } from '../../../server/wire/files.ts';
import { getFile, uploadState } from './api.ts';
import { compare } from './compare.ts';
import { readClaim } from '../../core/claims.ts';
import { readPartRows } from '../../core/upload-parts.ts';
import { type Item, newItem, WITHOUT_UPLOAD } from './item.ts';
import { giveName } from './give-name.ts';
import { heldUploads, keptFile, type KeptFile, readJournal } from './journal.ts';

/** What the restorer needs of the queue. */
export interface RestoreParts {
  items: Item[];
  change: (item: Item, changes: Partial<Item>) => void;
  finish(item: Item, result: FileJson, state: 'done'): void;
  resume(item: Item, kept: KeptFile): void;
  onList(): void;
}

export interface Restorer {
  /** Lists the uploads of the journal. Resolves once all are listed; resumes them in the background. */
  restore(): Promise<void>;
  /** Asks the service about the item again, and resumes it where its file can be read. */
  revive(item: Item): Promise<void>;
}

/** A second look comes after this time: bytes that were being sent when the page was left may still arrive. */
const LOOK_AGAIN_MS = 3_000;

export function createRestorer(queue: RestoreParts): Restorer {
  const { items, change } = queue;

  async function restore(): Promise<void> {
    const held = await heldUploads().catch(() => new Set<string>());
    const entries = (await readJournal()).filter(({ id }) => !held.has(id) && !items.some((item) => item.id === id));
    for (const { id, name, path, size, lastModified, ...known } of entries) {
      const item = newItem({ id, name, path, size, lastModified, file: null });
      const { md5, sha256 = null, url, urlMd5, urlSha256 = null, lifeMs = null, sent, mayHaveFinal = false } = known;
      const { onConflict = null } = known;
      const uploads = { url, parts: readPartRows(known.parts), mayHaveFinal, lifeMs };
      // An MD5 without a SHA-256 is of no use: the file is hashed again.
      const digests = { md5: sha256 === null ? null : md5, sha256, urlMd5, urlSha256 };
      items.push(
        Object.assign(item, {
          ...digests,
          ...uploads,
          ...readClaim(known),
          onConflict,
          sent,
          state: 'interrupted' as const,
        }),
      );
    }
    if (entries.length > 0) queue.onList();
    for (const item of items) if (item.state === 'interrupted') void revive(item);
  }

  async function revive(item: Item): Promise<void> {
    await lookUp(item);
    if (item.state !== 'interrupted') return;
    const kept = await keptFile(item.id, false);
    if (item.state !== 'interrupted') return;
    window.setTimeout(() => void lookUp(item), LOOK_AGAIN_MS);
    if (kept === 'ask') change(item, { needsClick: true });
    else if (kept) queue.resume(item, kept);
  }

  /** Asks the service how much of the item it has by now, and finishes the item if it was published. */
  async function lookUp(item: Item): Promise<void> {
    if (item.url === null) await lookUpParts(item);
    if (item.url === null || item.state !== 'interrupted') return;
    const state = await uploadState(item.url).catch(() => undefined);
    if (state === undefined || item.state !== 'interrupted') return;
    // The parts of a final upload that is gone may still be there.
    if (state === null && item.parts.length > 0) change(item, { url: null });
    else if (state === null) change(item, { ...WITHOUT_UPLOAD, fromStart: true });
    else if (state.fileId !== null) {
      const file = await getFile(state.fileId).catch(() => null);
      const own = file && (await proven(item, file).catch(() => null));
      const result = own && (await giveName(own, item, item.adopted).catch(() => null));
      if (result && item.state === 'interrupted') queue.finish(item, result, 'done');
    } else if (state.isJoined) change(item, { sent: state.offset });
  }

  async function lookUpParts(item: Item): Promise<void> {
    const { parts } = item;
    const states = await Promise.all(parts.map(({ url }) => uploadState(url))).catch(() => null);
    if (states === null || parts.length === 0 || item.state !== 'interrupted') return;
    change(item, { sent: states.reduce((sum, state) => sum + (state?.offset ?? 0), 0) });
  }

  return { restore, revive };
}

/**
 * Compares a published file with what the item has sent. @returns the file where it has the same bytes; null where it does
 * not, or where only its own file can tell, once the page can read that.
 */
async function proven(item: Item, file: FileJson): Promise<FileJson | null> {
  // Without a SHA-256 of what was sent, an upload that counts as shared cannot be compared.
  if (item.urlSha256 === null) return null;
  const compared = await compare({ ...item, md5: item.urlMd5, sha256: item.urlSha256 }, file);
  return compared.verdict === 'same' ? compared.file : null;
}
