/**
 * Whether a refusal tells where an upload stands all the same. A cache may ask for a HEAD by GET, and without
 * `Tus-Resumable`: a GET of an unfinished upload is refused, and the refusal has the headers of a HEAD.
 *
 * @param uploadOffset - the header of the answer.
 */
export function tellsOffset(method: string, status: number, uploadOffset: string | null | undefined): boolean {
  return method === 'HEAD' && status === 404 && /^\d+$/.test(uploadOffset ?? '');
}
