/** Whether a request has a body, as its headers and its first byte tell. */
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

/** Whether the request announces a body ("Message Body", RFC 9112 section 6). */
export function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/**
 * Whether the request brings at least one byte, or announces a body that has to have some. Some clients announce a chunked
 * body without a type and then send nothing: for those, waits for the first byte or the end.
 */
export async function bringsBody(request: IncomingMessage): Promise<boolean> {
  const { headers } = request;
  if (!hasBody(headers)) return false;
  if (headers['content-type'] !== undefined || headers['transfer-encoding'] === undefined) return true;
  const decided = new AbortController();
  await Promise.race(
    ['readable', 'end', 'close'].map((event) => once(request, event, { signal: decided.signal })),
  ).finally(() => decided.abort());
  return request.readableLength > 0;
}
