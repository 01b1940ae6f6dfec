/** Appends the bytes of other uploads. */
import { openJoined } from '../joined-source.ts';
import type { JoinOptions, StoredUpload, Written } from '../store.ts';
import { readPieces } from './pieces.ts';
import { openStream } from './read.ts';
import { appendPieces, type Writing } from './write.ts';

/** See `Store.joinUploads`. */
export function joinPieces(
  upload: StoredUpload,
  partials: readonly StoredUpload[],
  options: JoinOptions,
  writing: Writing,
): Promise<Written> {
  const { mount } = writing;
  const source = openJoined(partials, upload.offset, async function* read(partial, start) {
    const pieces = await readPieces(mount, partial);
    yield* openStream(mount, partial.id, pieces, { start, end: partial.offset - 1 });
  });
  const maxBytes = (upload.size ?? Infinity) - upload.offset;
  return appendPieces(source, upload, { ...options, maxBytes }, writing);
}
