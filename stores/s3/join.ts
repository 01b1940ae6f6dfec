/** Appends the bytes of other uploads. */
import { openJoined } from '../joined-source.ts';
import type { JoinOptions, StoredUpload } from '../store.ts';
import { openContent } from './content.ts';
import type { Locate } from './copying.ts';
import type { Objects } from './objects.ts';
import { appendToBucket, type Place, type WrittenToBucket } from './write.ts';

/** What joining works with. */
export interface Joining {
  objects: Objects;
  /** Makes an object of a partial, as parts can neither be read nor copied. @returns its key. */
  finalize: (partial: StoredUpload) => Promise<string>;
  place: Place;
}

/** See `Store.joinUploads`. All bytes are read, to be hashed; the bucket copies the parts that lie within one partial. */
export function joinObjects(
  upload: StoredUpload,
  partials: readonly StoredUpload[],
  { objects, finalize, place }: Joining,
  options: JoinOptions,
): Promise<WrittenToBucket> {
  const { signal } = options;
  /** The keys of the objects of partials, by their ids, as far as they have been read. */
  const keys = new Map<string, string>();
  const source = openJoined(partials, upload.offset, async function* read(partial, start) {
    const key = await finalize(partial);
    keys.set(partial.id, key);
    const range = { start, end: partial.offset - 1 };
    yield* await openContent(objects, key, { range, signal, size: partial.offset });
  });
  const maxBytes = (upload.size ?? Infinity) - upload.offset;
  return appendToBucket(source, upload, { ...place, locate: locateIn(partials, keys) }, { ...options, maxBytes });
}

function locateIn(partials: readonly StoredUpload[], keys: ReadonlyMap<string, string>): Locate {
  return ({ start, end }) => {
    let begin = 0;
    for (const { id, offset: size } of partials) {
      const key = keys.get(id);
      if (start >= begin && end <= begin + size) {
        return key === undefined ? undefined : { key, range: { start: start - begin, end: end - begin - 1 } };
      }
      begin += size;
    }
    return undefined;
  };
}
