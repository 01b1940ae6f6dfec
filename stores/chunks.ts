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
