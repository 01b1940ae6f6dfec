/** Finds a file or a content: by its id, or by the name that an address or an older API gives. */
import type { ContentRecord, FileRecord } from '../catalog/catalog.ts';
import type { ContentName } from './contract.ts';
import { TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';

/** As the same methods of `Files`, but with rows: they have all digests that the catalog knows. */
export interface FindFiles {
  get(id: string, owner: string | null): Promise<FileRecord>;
  find(name: ContentName, owner: string, which: 'oldest' | 'latest'): Promise<FileRecord>;
  findContent(name: ContentName): Promise<ContentRecord>;
}

/** Prepares the search. */
export function createFindFiles(parts: Parts): FindFiles {
  const { catalog } = parts;

  async function get(id: string, owner: string | null): Promise<FileRecord> {
    const file = await catalog.findFile(id, owner);
    if (!file) throw new TidemarkError('not_found');
    return file;
  }

  async function find(name: ContentName, owner: string, which: 'oldest' | 'latest'): Promise<FileRecord> {
    const found = await findNow(name, owner, which);
    if (found) return found;
    if (name.algorithm === 'sha1') {
      // The owner may have just sent this content: its SHA-1 is computed after publication.
      await parts.later.caughtUp(owner);
      const late = await findNow(name, owner, which);
      if (late) return late;
    }
    throw new TidemarkError('not_found');
  }

  async function findNow(
    name: ContentName,
    owner: string,
    which: 'oldest' | 'latest',
  ): Promise<FileRecord | undefined> {
    for (const content of await contentsBy(name)) {
      const file = await catalog.findFileOfContent(content.id, owner, which);
      if (file && !(name.algorithm === 'sha1' && parts.later.isPending(file))) return file;
    }
    return undefined;
  }

  async function findContent(name: ContentName): Promise<ContentRecord> {
    const [content] = await contentsBy(name);
    if (!content) throw new TidemarkError('not_found');
    return content;
  }

  async function contentsBy({ algorithm, digest, variant }: ContentName): Promise<ContentRecord[]> {
    // A digest that is not computed for every content is known only where somebody has asked for it: a find would reveal that.
    if (algorithm !== 'md5' && !parts.limits.digests.includes(algorithm)) return [];
    switch (algorithm) {
      case 'md5':
        return (await catalog.findContents({ md5: digest })).filter((content) => content.variant === variant);
      case 'sha1':
        return catalog.findContents({ sha1: digest });
      case 'sha256':
        return catalog.findContents({ sha256: digest });
    }
  }

  return { get, find, findContent };
}
