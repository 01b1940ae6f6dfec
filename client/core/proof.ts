/** Whether a published file has the bytes that a client sent. A client compares before it reports an upload as done. */
import type { CheckJson } from '../../server/wire/check.ts';
import type { FileJson } from '../../server/wire/files.ts';
import type { Begun } from './naming.ts';

/** The bytes as the client has read them. */
export interface Bytes {
  md5: string;
  sha256: string;
  size: number;
}

/** How the bytes of an upload came to the service. */
export interface Way {
  /** How it was begun; null where this client began it just now. */
  begun: Begun | null;
  /** Another client may have sent bytes of it since. */
  isShared: boolean;
}

/**
 * Whether all bytes of an upload are known to be ours. Then an equal MD5, which the service has computed, is proof. Otherwise
 * only an equal SHA-256 is: another client could have sent other bytes with the same MD5.
 */
export function isProvenByMd5({ begun, isShared }: Way): boolean {
  return !isShared && (begun === null || begun.isOurs);
}

/** `otherBytes`: MD5 or size differ. `otherSha256`: only the SHA-256 differs, so another client sent other bytes. */
export type ProofVerdict = 'same' | 'otherBytes' | 'otherSha256';

/**
 * Compares what the catalog says of a file with the bytes that were sent.
 *
 * @param isProven - whether an equal MD5 is proof; see `isProvenByMd5`.
 * @returns `unknown` where the SHA-256 has to decide, and the service has not computed it.
 */
export function judge(
  file: Pick<FileJson, 'md5' | 'size' | 'sha256'>,
  bytes: Bytes,
  isProven: boolean,
): ProofVerdict | 'unknown' {
  if (file.md5 !== bytes.md5 || file.size !== bytes.size) return 'otherBytes';
  if (file.sha256 !== undefined) return file.sha256 === bytes.sha256 ? 'same' : 'otherSha256';
  return isProven ? 'same' : 'unknown';
}

/** The requests with which a client compares a file. */
export interface ComparingService {
  check(question: Bytes): Promise<CheckJson>;
  file(id: string): Promise<FileJson>;
}

/**
 * Compares a published file with the bytes that were sent. Where the SHA-256 has to decide and the service lacks it, asks
 * the service to compute it, once.
 *
 * @returns the verdict, and the file as the service describes it by now.
 */
export async function compare(
  file: FileJson,
  bytes: Bytes,
  way: Way,
  service: ComparingService,
): Promise<{ verdict: ProofVerdict; file: FileJson }> {
  const verdict = judge(file, bytes, isProvenByMd5(way));
  if (verdict !== 'unknown') return { verdict, file };
  const answer = await service.check(bytes);
  if (answer.status === 'exists' && answer.file?.id === file.id) return { verdict: 'same', file: answer.file };
  // The answer is about another file, which may have the same content. The service has computed the digest by now, and
  // tells it to the owner who asked for it.
  const computed = await service.file(file.id);
  const judged = judge(computed, bytes, false);
  if (judged !== 'unknown') return { verdict: judged, file: computed };
  // Still no SHA-256. Where the service has these bytes, another content has them.
  return { verdict: answer.status === 'exists' ? 'otherSha256' : 'same', file: computed };
}
