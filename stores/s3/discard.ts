/** Removing what an upload left in the bucket. */
import { type DiscardedUpload, type Discarding, type Ledger, UNKNOWN_MS } from '../store.ts';
import type { Keys } from './keys.ts';
import type { Objects } from './objects.ts';
import { decodeState, finalKeyOf, hasKey } from './state.ts';

interface Place {
  objects: Objects;
  keys: Keys;
  ledger: Pick<Ledger, 'contentKeys'>;
  /** The time by which things are old; see the store's settings. */
  now: () => number;
}

/** As many keys as the catalog is asked about at once. */
const BATCH = 100;

/** @param final - see the store's `discardUpload`. */
export async function discardFromBucket(
  { id, storeState }: DiscardedUpload,
  final: Discarding,
  place: Place,
): Promise<void> {
  const { objects, keys, now } = place;
  const state = decodeState(storeState);
  const key = finalKeyOf(keys, id, state);
  const { multipart = null } = state ?? {};
  if (final === 'remove' && multipart) await objects.abortMultipart(key, multipart);
  if (final === 'unknown') await abortOld(id, place);
  else if (state === null || state.doubtful || (final === 'remove' && !hasKey(state)))
    await discardUnnamed(id, { kept: final === 'keep' ? key : null, multipart }, place);
  const tails = [...(state?.tail ? [state.tail.key] : []), ...(state?.old ?? [])];
  for (const tail of tails) await objects.remove(tail);
  // After a crash there may be tails that no row names.
  if (final !== 'keep' || state === null || state.doubtful)
    await removeTails(id, final === 'unknown' ? now() - UNKNOWN_MS : Infinity, place);
  if (final === 'remove' && state !== null) await objects.remove(key);
}

/** Multipart uploads that the catalog does not know, once they are old. Of one that became an object RGW may still know. */
async function abortOld(id: string, place: Place): Promise<void> {
  const { objects, now } = place;
  for (const { key, id: multipart, begunAt } of await multipartsOf(id, place)) {
    if (begunAt <= now() - UNKNOWN_MS && (await objects.head(key)) === undefined) {
      await objects.abortMultipart(key, multipart);
    }
  }
}

/**
 * What attempts left that no row names: their answers were lost, their process died, or their writer had lost its lease.
 * Each has a key of its own, and what a content has of it stays.
 */
async function discardUnnamed(
  id: string,
  { kept, multipart }: { kept: string | null; multipart: string | null },
  place: Place,
): Promise<void> {
  const { objects, keys } = place;
  const multiparts = await multipartsOf(id, place);
  const found: string[] = [];
  for await (const { key } of objects.list(keys.finals(id))) if (keys.ownerOfFinal(key) === id) found.push(key);
  const contents = await contentKeys([...found, ...multiparts.map(({ key }) => key)], kept, place);
  for (const begun of multiparts) {
    // Never what a content was made of: RGW may still know it as unfinished when it died while completing it.
    // A proxy that repeats a call may have begun a second one: the job finds it, and comes without a note.
    const isLeft =
      !contents.has(begun.key) || (begun.id !== multipart && (await objects.isEmptyMultipart(begun.key, begun.id)));
    if (isLeft) await objects.abortMultipart(begun.key, begun.id);
  }
  // Whatever was begun: its object, of which RGW may still know it as unfinished, goes as well.
  for (const key of found) if (!contents.has(key)) await objects.remove(key);
}

/** Those of these keys that a content has, the one that is `kept` among them. */
async function contentKeys(
  found: readonly string[],
  kept: string | null,
  { ledger }: Place,
): Promise<ReadonlySet<string>> {
  const contents = new Set(kept === null ? [] : [kept]);
  const unknown = [...new Set(found)].filter((key) => key !== kept);
  for (let at = 0; at < unknown.length; at += BATCH) {
    for (const key of await ledger.contentKeys(unknown.slice(at, at + BATCH))) contents.add(key);
  }
  return contents;
}

async function multipartsOf(
  id: string,
  { objects, keys }: Place,
): Promise<{ key: string; id: string; begunAt: number }[]> {
  const found: { key: string; id: string; begunAt: number }[] = [];
  for await (const begun of objects.listMultiparts(keys.finals(id))) {
    if (keys.ownerOfFinal(begun.key) === id) found.push(begun);
  }
  return found;
}

async function removeTails(id: string, writtenBy: number, { objects, keys }: Place): Promise<void> {
  for await (const { key, modifiedAt } of objects.list(keys.tails(id))) {
    if (keys.ownerOfTail(key) === id && modifiedAt <= writtenBy) await objects.remove(key);
  }
}
