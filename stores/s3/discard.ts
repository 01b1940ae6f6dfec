/** Removes what an upload left in the bucket. */
import { type DiscardedUpload, type Discarding, type Ledger, UNKNOWN_MS } from '../store.ts';
import type { Keys } from './keys.ts';
import type { Objects } from './objects.ts';
import { decodeState, finalKeyOf, hasKey } from './state.ts';

interface Place {
  objects: Objects;
  keys: Keys;
  ledger: Pick<Ledger, 'contentKeys'>;
  /** The time by which the age of objects is judged; see the store's settings. */
  now: () => number;
}

/** How many keys one query to the catalog has. */
const BATCH = 100;

/** Removes what an upload left. @param final - see the store's `discardUpload`. */
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
  // A crash may have left tails that no row names.
  if (final !== 'keep' || state === null || state.doubtful)
    await removeTails(id, final === 'unknown' ? now() - UNKNOWN_MS : Infinity, place);
  if (final === 'remove' && state !== null) await objects.remove(key);
}

/**
 * Aborts old multipart uploads of an upload that the catalog does not know. Not where the key has an object: RGW may still
 * list the multipart upload that the object was made from.
 */
async function abortOld(id: string, place: Place): Promise<void> {
  const { objects, now } = place;
  for (const { key, id: multipart, begunAt } of await multipartsOf(id, place)) {
    if (begunAt <= now() - UNKNOWN_MS && (await objects.head(key)) === undefined) {
      await objects.abortMultipart(key, multipart);
    }
  }
}

/**
 * Removes what no row names: an attempt's answer was lost, its process died, or its writer had lost its lease. Each attempt
 * has a key of its own; keys that a content names are kept.
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
    // Never the one that a content was made from: RGW may still list it as unfinished, if RGW died while completing it.
    // A proxy that repeats a call may have begun a second one: it has no parts.
    const isLeft =
      !contents.has(begun.key) || (begun.id !== multipart && (await objects.isEmptyMultipart(begun.key, begun.id)));
    if (isLeft) await objects.abortMultipart(begun.key, begun.id);
  }
  // Objects that no content names, also those of the multipart uploads above.
  for (const key of found) if (!contents.has(key)) await objects.remove(key);
}

/** Those of these keys that a content names, and `kept`. */
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
