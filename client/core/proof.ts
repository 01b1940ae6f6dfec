/** Whether a published file has the bytes that a client sent: asked before anything is called done. */
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
 * Whether all bytes of an upload are known to be ours. Then an equal MD5, which the service computed of them, is proof;
 * otherwise only an equal SHA-256 is, as MD5 names content and does not prove it.
 */
export function isProvenByMd5({ begun, isShared }: Way): boolean {
  return !isShared && (begun === null || begun.isOurs);
}

/** `otherBytes`: MD5 or size differ. `otherSha256`: only the SHA-256 does: another client sent other bytes. */
export type ProofVerdict = 'same' | 'otherBytes' | 'otherSha256';

/** Compares what the catalog says of a file; `unknown` where it takes the SHA-256, and the service has not computed it. */
export function judge(
  file: Pick<FileJson, 'md5' | 'size' | 'sha256'>,
  bytes: Bytes,
  isProven: boolean,
): ProofVerdict | 'unknown' {
  if (file.md5 !== bytes.md5 || file.size !== bytes.size) return 'otherBytes';
  if (file.sha256 !== undefined) return file.sha256 === bytes.sha256 ? 'same' : 'otherSha256';
  return isProven ? 'same' : 'unknown';
}

/** What is asked of the service to compare a file. */
export interface ComparingService {
  check(question: Bytes): Promise<CheckJson>;
  file(id: string): Promise<FileJson>;
}

/** Compares a published file with the bytes that were sent. The service computes a SHA-256 that is needed, once. */
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
  // The answer is about another file, maybe of the same content; the service tells the digest to the owner that has asked for it.
  const computed = await service.file(file.id);
  const judged = judge(computed, bytes, false);
  if (judged !== 'unknown') return { verdict: judged, file: computed };
  // Still without a SHA-256. These bytes are here, but another content has them.
  return { verdict: answer.status === 'exists' ? 'otherSha256' : 'same', file: computed };
}
