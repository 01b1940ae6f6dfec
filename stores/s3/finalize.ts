/** Turns an upload's bytes into one object under its key. */
import { type Ledger, StoreError, type StoredUpload } from '../store.ts';
import type { BufferPool } from './buffers.ts';
import type { Body } from './calls.ts';
import { completeUpload, isThere, requireThere } from './complete.ts';
import type { Objects } from './objects.ts';
import { placeOf } from './part-sizes.ts';
import type { UploadState } from './state.ts';
import type { SentPart } from './storing.ts';
import { readTail } from './tail.ts';

const MD5_OF_NOTHING = 'd41d8cd98f00b204e9800998ecf8427e';

/** What finalizing works with. */
export interface Finalizing {
  objects: Objects;
  buffers: BufferPool;
  ledger: Ledger;
  /** The smallest part that the provider takes for certain. */
  leastPartBytes: number;
  closing: AbortSignal;
}

/** Stores or completes the object. Can be repeated. @throws StoreError `missing` when the upload's bytes are gone. */
export async function finalizeUpload(
  upload: StoredUpload,
  key: string,
  state: UploadState | null,
  place: Finalizing,
): Promise<void> {
  const { objects, ledger, leastPartBytes, closing } = place;
  const { id, offset: size } = upload;
  if (size === 0) {
    const nothing = { bytes: new Uint8Array(0), md5: MD5_OF_NOTHING, onFailure: () => undefined };
    await objects.putFinal(key, upload, nothing);
    return;
  }
  if (state === null || state.whole) {
    await requireThere(objects, { key, uploadId: id, size }, closing);
    return;
  }
  if (state.multipart === null) {
    // The upload's length was declared at its end, and all its bytes are in one tail.
    await withTail(upload, { tail: state.tail, start: 0 }, place, (body) => objects.putFinal(key, upload, body));
    return;
  }
  const parts = await collectParts(upload, key, { state, multipart: state.multipart }, place).catch(async (error) => {
    // An earlier attempt may have completed it although its answer was lost: then no part can be added.
    if (await isThere(objects, { key, uploadId: id, size })) return undefined;
    throw error;
  });
  if (!parts) return;
  // Completing consumes the parts: a power cut must not bring back a row that still needs them.
  await ledger.durable();
  const isSmall = state.sizes.first < leastPartBytes;
  await completeUpload(objects, { key, uploadId: id, size, multipart: state.multipart, parts, isSmall }, closing);
}

/** All parts by the ledger. If the last one is still a tail, it is sent now. */
async function collectParts(
  upload: StoredUpload,
  key: string,
  { state: { sizes, tail }, multipart }: { state: UploadState; multipart: string },
  place: Finalizing,
): Promise<SentPart[]> {
  const parts: SentPart[] = [];
  let end = 0;
  for (const part of await place.ledger.parts(upload.id)) {
    if (part.start !== end) throw new StoreError('missing', `upload ${upload.id}: no part begins at ${end}`);
    end += part.size;
    parts.push({ number: part.number, etag: part.etag });
  }
  if (tail && end < upload.offset) {
    const number = placeOf(sizes, end)?.number ?? 0;
    await withTail(upload, { tail, start: end }, place, async (body) => {
      const etag = await place.objects.uploadPart(key, multipart, number, body, place.closing);
      parts.push({ number, etag });
    });
    end = upload.offset;
  }
  if (end !== upload.offset) throw new StoreError('missing', `upload ${upload.id}: no part begins at ${end}`);
  return parts;
}

async function withTail(
  upload: StoredUpload,
  { tail, start }: { tail: UploadState['tail']; start: number },
  { objects, buffers, closing }: Finalizing,
  use: (body: Body) => Promise<void>,
): Promise<void> {
  const length = upload.offset - start;
  const room = await buffers.reserve(length, false, closing);
  room.seal();
  try {
    let at = 0;
    for (const chunk of await readTail(objects, tail, start, upload.offset, closing)) {
      room.bytes.set(chunk, at);
      at += chunk.length;
    }
    await use({ bytes: room.bytes, md5: tail?.md5 ?? '', onFailure: room.spoil });
  } finally {
    room.release();
  }
}
