/** Finds a file or a content: by its id, or by the name that an address or an older API gives. */
import type { ContentRecord, FileRecord } from '../catalog/catalog.ts';
import { MOST_NAMES_ASKED, type NamedFile } from '../catalog/named-files.ts';
import type { ContentName, DigestName } from './contract.ts';
import { invalidField, TidemarkError } from './errors.ts';
import { checkName } from './names.ts';
import type { Parts } from './parts.ts';

/** As the same methods of `Files`, but with rows: they have all digests that the catalog knows. */
export interface FindFiles {
  get(id: string, owner: string | null): Promise<FileRecord>;
  find(name: DigestName, owner: string, which: 'oldest' | 'latest'): Promise<FileRecord>;
  findContent(name: ContentName): Promise<ContentRecord>;
  findNamed(names: readonly string[], owner: string): Promise<NamedFile[]>;
}

const SEVERAL =
  'You have different files with this digest, which does not say which of them is meant: ask by another digest, or by id.';

/** How many names are looked up before others have their turn. */
const NAMES_AT_A_TIME = 50;

/** Prepares the search. */
export function createFindFiles(parts: Parts): FindFiles {
  const { catalog } = parts;

  async function get(id: string, owner: string | null): Promise<FileRecord> {
    const file = await catalog.findFile(id, owner);
    if (!file) throw new TidemarkError('not_found');
    return file;
  }

  async function find(name: DigestName, owner: string, which: 'oldest' | 'latest'): Promise<FileRecord> {
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

  async function findNow(name: DigestName, owner: string, which: 'oldest' | 'latest'): Promise<FileRecord | undefined> {
    const found: FileRecord[] = [];
    for (const content of await contentsBy(name)) {
      const file = await catalog.findFileOfContent(content.id, owner, which);
      if (file && !(name.algorithm === 'sha1' && parts.later.isPending(file))) found.push(file);
    }
    if (found.length > 1) throw new TidemarkError('not_found', { message: SEVERAL });
    return found[0];
  }

  async function findContent(name: ContentName): Promise<ContentRecord> {
    // A content that is in the trash alone is as good as deleted.
    for (const content of await contentsBy(name)) if (await catalog.hasFiles(content.id)) return content;
    throw new TidemarkError('not_found');
  }

  async function contentsBy({ algorithm, digest, variant }: DigestName): Promise<ContentRecord[]> {
    // A digest that is not computed for every content is known only where somebody has asked for it: a find would reveal that.
    if (algorithm !== 'md5' && !parts.limits.digests.includes(algorithm)) return [];
    switch (algorithm) {
      case 'md5':
        return (await catalog.findContents({ md5: digest })).filter(
          (content) => variant === null || content.variant === variant,
        );
      case 'sha1':
        return catalog.findContents({ sha1: digest });
      case 'sha256':
        return catalog.findContents({ sha256: digest });
    }
  }

  async function findNamed(names: readonly string[], owner: string): Promise<NamedFile[]> {
    if (names.length > MOST_NAMES_ASKED) {
      throw invalidField('names', `names must have at most ${MOST_NAMES_ASKED} names.`);
    }
    for (const name of names) checkName(name, 'names');
    const found: NamedFile[] = [];
    for (let at = 0; at < names.length; at += NAMES_AT_A_TIME) {
      // Each name may be in folders of its own, and a catalog in this process answers without a turn of the event loop.
      if (at > 0) await parts.surroundings.turn();
      found.push(...(await catalog.findNamed(owner, names.slice(at, at + NAMES_AT_A_TIME))));
    }
    return found;
  }

  return { get, find, findContent, findNamed };
}
