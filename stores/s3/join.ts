/** Appends the bytes of other uploads. */
import { openJoined } from '../joined-source.ts';
import type { JoinOptions, StoredUpload } from '../store.ts';
import { openContent } from './content.ts';
import type { Objects } from './objects.ts';
import { appendToBucket, type Place, type WrittenToBucket } from './write.ts';

/** What joining works with. */
export interface Joining {
  objects: Objects;
  /** Makes an object of a partial, as parts cannot be read. @returns its key. */
  finalize: (partial: StoredUpload) => Promise<string>;
  place: Place;
}

/** See `Store.joinUploads`. */
export function joinObjects(
  upload: StoredUpload,
  partials: readonly StoredUpload[],
  { objects, finalize, place }: Joining,
  options: JoinOptions,
): Promise<WrittenToBucket> {
  const { signal } = options;
  const source = openJoined(partials, upload.offset, async function* read(partial, start) {
    const key = await finalize(partial);
    const range = { start, end: partial.offset - 1 };
    yield* await openContent(objects, key, { range, signal, size: partial.offset });
  });
  const maxBytes = (upload.size ?? Infinity) - upload.offset;
  return appendToBucket(source, upload, place, { ...options, maxBytes });
}
