/** What an owner sees of a content that other owners may share: nothing that another owner caused. */
import { createHash } from 'node:crypto';
import type { DigestAlgorithm } from '../../stores/digests/digests.ts';
import type { ContentRecord, FileRecord } from '../catalog/catalog.ts';
import type { FileView, HasContent } from './contract.ts';
import { formatContentName } from './names.ts';
import type { Parts } from './parts.ts';
import { contentRowOf, fileViewOf } from './views.ts';

/** The digests of a file, and what decides which of them are shown. */
type WithDigests = Pick<FileRecord, 'owner' | 'uploadedAt'> & {
  content: Pick<ContentRecord, 'id' | 'sha1' | 'sha256'>;
};

/** How many comparisons by SHA-256 are remembered. */
const REMEMBERED = 10_000;

/**
 * The file without the digests that would reveal another owner. A digest that the service does not compute for every file
 * is known only because somebody asked for the content by it. And a SHA-1 that is computed after publication may be known
 * early only because another owner has sent the same content.
 *
 * @param isPending - see LaterDigests.
 * @param asked - whether the file's own owner asked for the content by SHA-256.
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

/** Remembers, until a restart, which owners have recently had the SHA-256 of one of their contents compared. */
function createAsked(): { note(owner: string, contentId: number): void; has: (file: FileRecord) => boolean } {
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

/** How files are shown to their owners. */
export interface Shown {
  asked: ReturnType<typeof createAsked>;
  /** The file with the digests that its owner may see at this moment. */
  told: (file: FileRecord) => FileView;
}

/** Prepares it. */
export function createShown({ limits, later }: Pick<Parts, 'limits' | 'later'>): Shown {
  const asked = createAsked();
  return {
    asked,
    told: (file) => fileViewOf(withConfiguredDigests(file, limits.digests, later.isPending, asked.has)),
  };
}

/**
 * A version for caches: different bytes have different versions. It is made from the file's id, as a file's
 * content never changes, and not from the content's: a version that stays the same after the owner has deleted the file
 * and sent the content again would reveal that another owner has it, too. A content without a file is open to all.
 */
export function versionOf({ id, content }: HasContent & { id?: string }): string {
  const source = id ?? `${contentRowOf(content).key} ${content.publishedAt}`;
  const mark = createHash('sha256').update(source).digest('base64url').slice(0, 16);
  return `${formatContentName(content)}.${mark}`;
}
