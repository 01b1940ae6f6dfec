/** Appends the bytes of other uploads to an upload's file, which takes over that of the first one where it can. */
import { withDescriptor } from '../descriptors.ts';
import { openJoined } from '../joined-source.ts';
import { type JoinOptions, StoreError, type StoredUpload, type Written } from '../store.ts';
import { isFsError } from './errors.ts';
import { linkFile, type LocalFile, openFile, removeFile } from './files.ts';
import type { Folder } from './folder.ts';
import { UNFINISHED } from './names.ts';
import { appendToFile, type Place as WritePlace } from './write.ts';

const READ_BYTES = 1024 * 1024;

/** What joining needs beside the place of a write. */
export interface JoinPlace extends WritePlace {
  folder: Folder;
  /** Opens the upload's own file, as for any other write. */
  openUnfinished: (upload: StoredUpload) => Promise<LocalFile>;
}

/** See `Store.joinUploads`. */
export async function joinFiles(
  upload: StoredUpload,
  partials: readonly StoredUpload[],
  place: JoinPlace,
  options: JoinOptions,
): Promise<Written> {
  const { folder } = place;
  const taken = upload.offset === 0 ? await takeOver(upload, partials, place, options) : undefined;
  const begun = taken ?? upload;
  const file = taken
    ? await withDescriptor(async () => openFile(folder.unfinished(upload.id)))
    : await place.openUnfinished(upload);
  try {
    const buffers = createBuffers(Math.min(READ_BYTES, Math.max(...partials.map(({ offset }) => offset))));
    const source = openJoined(partials, begun.offset, (partial, start) => readFile(folder, partial, start, buffers));
    const maxBytes = (upload.size ?? Infinity) - begun.offset;
    const recycling = { ...place, onFree: buffers.giveBack };
    return await appendToFile(file, source, begun, recycling, { ...options, maxBytes });
  } finally {
    await file.close();
  }
}

/**
 * Gives the file of the first partial a second name, the upload's: so its bytes are the first of the upload, without a copy.
 * What is appended lies beyond the partial's size, and no partial is read beyond that. Only one upload can append to a file:
 * one that has a second name, or had one and more bytes, is copied instead.
 *
 * @returns the upload as it is then; undefined where it has to be copied.
 */
async function takeOver(
  upload: StoredUpload,
  partials: readonly StoredUpload[],
  { folder, hasLinks, bootId }: JoinPlace,
  options: JoinOptions,
): Promise<StoredUpload | undefined> {
  const first = partials.find(({ offset }) => offset > 0);
  if (!first?.snapshot || !hasLinks || folder.entries.isUnsettled(UNFINISHED + first.id)) return undefined;
  const { offset, snapshot } = first;
  let isTaken = false;
  // By the name of the partial: one upload at a time looks whether it can have the file. Syncs the folder.
  await folder.entries.change(UNFINISHED + first.id, async () => {
    isTaken = await linkWhole(folder, first, upload);
  });
  if (!isTaken) return undefined;
  await options.commit({ offset, snapshot, storeState: bootId });
  return { ...upload, offset, snapshot, storeState: bootId };
}

/** Links the partial's file, unless another upload has it. @returns whether it did. */
async function linkWhole(folder: Folder, partial: StoredUpload, upload: StoredUpload): Promise<boolean> {
  const own = folder.unfinished(upload.id);
  const file = openPartial(folder, partial);
  try {
    // What an upload has appended may still be read, also where that has no name any more.
    if (file.links() !== 1 || file.size() !== partial.offset) return false;
  } finally {
    await file.close();
  }
  await removeFile(own);
  return (await linkFile(folder.unfinished(partial.id), own)) === 'linked';
}

/** Buffers that are used again and again: new memory for each mebibyte costs as much as hashing it. */
interface Buffers {
  /** The size of each. */
  bytes: number;
  take: () => Buffer;
  /** Chunks that nothing reads any more. */
  giveBack: (chunks: readonly Uint8Array[]) => void;
}

function createBuffers(bytes: number): Buffers {
  const free: ArrayBuffer[] = [];
  return {
    bytes,
    take: () => {
      const memory = free.pop();
      return memory ? Buffer.from(memory) : Buffer.allocUnsafeSlow(bytes);
    },
    giveBack: (chunks) => {
      for (const { buffer } of chunks) {
        if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes) free.push(buffer);
      }
    },
  };
}

async function* readFile(
  folder: Folder,
  partial: StoredUpload,
  start: number,
  buffers: Buffers,
): AsyncGenerator<Uint8Array> {
  const file = await withDescriptor(async () => openPartial(folder, partial));
  try {
    for (let at = start; at < partial.offset;) {
      const buffer = buffers.take();
      const taken = await file.read(buffer, Math.min(buffers.bytes, partial.offset - at), at);
      if (taken === 0) return;
      yield buffer.subarray(0, taken);
      at += taken;
    }
  } finally {
    await file.close();
  }
}

/** @throws StoreError `missing` where the file is gone. */
function openPartial(folder: Folder, { id }: StoredUpload): LocalFile {
  try {
    return openFile(folder.unfinished(id));
  } catch (error) {
    if (!isFsError(error, 'ENOENT')) throw error;
    folder.requireHere();
    throw new StoreError('missing', `upload ${id}: its file is gone`, error);
  }
}
