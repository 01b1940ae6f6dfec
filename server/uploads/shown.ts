/** What an owner learns of a content that others may share: nothing that somebody else caused. */
import { createHash } from 'node:crypto';
import type { DigestAlgorithm } from '../../stores/digests/digests.ts';
import type { ContentRecord, FileRecord } from '../catalog/catalog.ts';
import type { HasContent } from './contract.ts';
import { formatContentName } from './names.ts';
import { contentRowOf } from './views.ts';

/** Of a file, what decides which digests are told, and those. */
type WithDigests = Pick<FileRecord, 'owner' | 'uploadedAt'> & {
  content: Pick<ContentRecord, 'id' | 'sha1' | 'sha256'>;
};

/** Answers by SHA-256 that are remembered. */
const REMEMBERED = 10_000;

/**
 * A file without the digests that the service does not compute for every file: they
 * are there where somebody, who may be another owner, has asked for this content by them.
 * Nor with a SHA-1 that it would not have yet if nobody else had sent the content before.
 *
 * @param isPending - of LaterDigests.
 * @param asked - whether it was this file's owner.
 */
export function withConfiguredDigests<T extends WithDigests>(
  file: T,
  digests: readonly DigestAlgorithm[],
  isPending: (file: T) => boolean,
  asked: (file: T) => boolean = () => false,
): T {
  const { content } = file;
  const sha1 = digests.includes('sha1') && !isPending(file) ? content.sha1 : null;
  const sha256 = digests.includes('sha256') || asked(file) ? content.sha256 : null;
  return sha1 === content.sha1 && sha256 === content.sha256 ? file : { ...file, content: { ...content, sha1, sha256 } };
}

/** Which owners have lately had the SHA-256 of a content of theirs compared; a restart forgets it. */
export function createAsked(): { note(owner: string, contentId: number): void; has(file: FileRecord): boolean } {
  const known = new Set<string>();
  return {
    note(owner, contentId) {
      known.add(`${contentId} ${owner}`);
      const [oldest] = known;
      if (known.size > REMEMBERED && oldest !== undefined) known.delete(oldest);
    },
    has: (file) => known.has(`${file.content.id} ${file.owner}`),
  };
}

/**
 * Tells the bytes of a file from all others. It goes by the file, whose content never changes, and not by the
 * content: a content's number counts the contents of everybody, and one that outlives the owner's
 * own file tells that somebody else has it, too. A content that is open to all goes without a file.
 */
export function versionOf({ id, content }: HasContent & { id?: string }): string {
  const source = id ?? `${contentRowOf(content).key} ${content.publishedAt}`;
  const mark = createHash('sha256').update(source).digest('base64url').slice(0, 16);
  return `${formatContentName(content)}.${mark}`;
}
