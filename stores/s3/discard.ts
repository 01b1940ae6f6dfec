/** Removing what an upload left in the bucket. */
import { type DiscardedUpload, type Discarding, UNKNOWN_MS } from '../store.ts';
import type { Keys } from './keys.ts';
import type { Objects } from './objects.ts';
import { decodeState } from './state.ts';

interface Place {
  objects: Objects;
  keys: Keys;
  /** The time by which things are old; see the store's settings. */
  now: () => number;
}

/** @param final - see the store's `discardUpload`. */
export async function discardFromBucket(
  { id, storeState }: DiscardedUpload,
  final: Discarding,
  place: Place,
): Promise<void> {
  const { objects, keys, now } = place;
  const state = decodeState(storeState);
  const key = keys.final(id);
  const isUnsure = state === null || state.doubtful;
  const { multipart = null } = state ?? {};
  switch (final) {
    case 'remove':
      if (multipart) await objects.abortMultipart(key, multipart);
      // Whatever was begun: its object, of which RGW may still know it as unfinished, goes as well.
      if (isUnsure) await objects.abortMultiparts(key);
      break;
    case 'keep':
      // Never what a content was made of: RGW may still know it as unfinished when it died while completing it.
      // A proxy that repeats a call may have begun a second one: the job finds it, and comes without a note.
      if (isUnsure) await objects.abortEmptyMultiparts(key, multipart);
      break;
    case 'unknown':
      if ((await objects.head(key)) === undefined) await objects.abortMultiparts(key, now() - UNKNOWN_MS);
      break;
  }
  const tails = [...(state?.tail ? [state.tail.key] : []), ...(state?.old ?? [])];
  for (const tail of tails) await objects.remove(tail);
  // After a crash there may be tails that no row names.
  if (final !== 'keep' || state === null)
    await removeTails(id, final === 'unknown' ? now() - UNKNOWN_MS : Infinity, place);
  if (final === 'remove') await objects.remove(key);
}

async function removeTails(id: string, writtenBy: number, { objects, keys }: Place): Promise<void> {
  for await (const { key, modifiedAt } of objects.list(keys.tails(id))) {
    if (keys.ownerOfTail(key) === id && modifiedAt <= writtenBy) await objects.remove(key);
  }
}
