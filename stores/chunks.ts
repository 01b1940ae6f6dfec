/** Bytes in a list of chunks. */

/** How many bytes all chunks have. */
export function bytesIn(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

/** What is left of the chunks after their first bytes, without a copy. */
export function afterBytes(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let within = bytes;
  let whole = 0;
  for (const { length } of chunks) {
    if (length > within) break;
    within -= length;
    whole++;
  }
  const left = chunks.slice(whole);
  if (left[0] && within > 0) left[0] = left[0].subarray(within);
  return left;
}

/** The chunks from which others were cut. */
const origins = new WeakMap<Uint8Array, Uint8Array>();

/** A chunk without its last bytes, which nobody needs there any more: `originOf` gives the whole one, to free its memory. */
export function shortened(chunk: Uint8Array, length: number): Uint8Array {
  const cut = chunk.subarray(0, length);
  origins.set(cut, originOf(chunk));
  return cut;
}

/** The chunk that was shortened to this one; the chunk itself where it was not. */
export function originOf(chunk: Uint8Array): Uint8Array {
  return origins.get(chunk) ?? chunk;
}
