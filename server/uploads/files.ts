/** Files of the catalog: find, list, rename, read and remove them. */
import type { Readable } from 'node:stream';
import { type ByteRange, StoreError } from '../../stores/store.ts';
import type { ContentRecord, FilePage, FileQuery, FileRecord } from '../catalog/catalog.ts';
import type { CheckQuery, CheckResult, ContentName, Files, HasContent } from './contract.ts';
import type { Check } from './check.ts';
import { TidemarkError } from './errors.ts';
import { checkName, typeOfName } from './names.ts';
import type { Parts } from './parts.ts';
import { hasBytes, reportLost } from './stored-bytes.ts';
import { createAsked, withConfiguredDigests } from './shown.ts';
import { translated } from './translate.ts';

export interface FileActions {
  remove(id: string, owner: string): Promise<FileRecord>;
}

/** Deletes files, and the bytes of a content with its last file. */
export function createFileActions(parts: Parts): FileActions {
  const { catalog } = parts;

  async function remove(id: string, owner: string): Promise<FileRecord> {
    const file = await catalog.findFile(id, owner);
    if (!file) throw new TidemarkError('not_found');
    return parts.contentMutex.run(file.content.md5, async () => {
      const deleted = await catalog.deleteFile(id, owner, parts.clock.latest());
      if (!deleted) throw new TidemarkError('not_found');
      // The row durably first, then the bytes: the other way round, a power cut leaves a file without bytes.
      await catalog.durable();
      if (deleted.removedKey !== null) await removeBytes(parts, deleted.removedKey);
      return deleted.file;
    });
  }

  return { remove };
}

/** Removes the bytes of a content that is gone from the catalog; a job retries what fails here. Whether they are gone. */
export async function removeBytes({ store, catalog, log }: Parts, key: string): Promise<boolean> {
  try {
    await store.removeContent(key);
    await catalog.removalDone(key);
    return true;
  } catch (error) {
    log.warn({ key, err: error }, 'the bytes of a deleted content could not be removed yet');
    return false;
  }
}

export function createFiles(parts: Parts, actions: FileActions, check: Check): Files {
  const { catalog, store } = parts;

  async function get(id: string, owner: string | null): Promise<FileRecord> {
    const file = await catalog.findFile(id, owner);
    if (!file) throw new TidemarkError('not_found');
    return file;
  }

  async function find(name: ContentName, owner: string, which: 'oldest' | 'latest'): Promise<FileRecord> {
    const found = await findNow(name, owner, which);
    if (found) return found;
    if (name.algorithm === 'sha1') {
      // It may be of what they have just sent.
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
    // Those that some contents alone have would tell who else was asked about.
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

  async function rename(id: string, owner: string, name: string): Promise<FileRecord> {
    checkName(name, 'name');
    const file = await catalog.renameFile(id, owner, name, typeOfName(name), parts.clock.latest());
    if (!file) throw new TidemarkError('not_found');
    await catalog.durable();
    return file;
  }

  async function requireBytes({ content }: HasContent): Promise<void> {
    if (!(await hasBytes(parts, content))) throw new TidemarkError('content_damaged');
  }

  async function open(
    { content }: HasContent,
    range: ByteRange | undefined,
    signal: AbortSignal,
    isAgain = false,
  ): Promise<Readable> {
    const { key, size } = content;
    // An empty file has no range to ask for.
    const isNone = range !== undefined && range.end < range.start;
    try {
      return await store.readContent(key, isNone ? undefined : range, signal, size);
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'missing')) throw error;
      const now = await reportLost(parts, content, { err: error });
      if (!now) throw new TidemarkError('not_found', { cause: error });
      if (now.key === key || isAgain) throw new TidemarkError('content_damaged', { cause: error });
      return open({ content: now }, range, signal, true);
    }
  }

  async function addressOf(file: HasContent, shown: { type: string; disposition: string }): Promise<string | null> {
    const lifeMs = parts.limits.addressLifeMs;
    if (lifeMs === null || !store.capabilities.address) return null;
    // Whatever the store has under the key, it would hand out as if it were right.
    await requireBytes(file);
    return store.addressOf(file.content.key, { ...shown, lifeMs });
  }

  const asked = createAsked();
  const told = (file: FileRecord): FileRecord =>
    withConfiguredDigests(file, parts.limits.digests, parts.later.isPending, (of) => asked.has(of));

  async function checkShown(query: CheckQuery): Promise<CheckResult> {
    // None but these: another owner may have asked for the others.
    const result = await check(query, ({ id }) => asked.note(query.owner, id));
    return result.status === 'exists' && result.file ? { ...result, file: told(result.file) } : result;
  }

  async function list(query: FileQuery): Promise<FilePage> {
    const page = await catalog.listFiles(query);
    return { ...page, files: page.files.map(told) };
  }

  return {
    check: (query) => translated(() => checkShown(query)),
    list: (query) => translated(() => list(query)),
    totalOf: (owner) => translated(() => catalog.totalOf(owner)),
    get: (id, owner) => translated(async () => told(await get(id, owner))),
    find: (name, owner, which) => translated(async () => told(await find(name, owner, which))),
    findContent: (name) => translated(() => findContent(name)),
    rename: (id, owner, name) => translated(async () => told(await rename(id, owner, name))),
    remove: (id, owner) => translated(async () => told(await actions.remove(id, owner))),
    requireBytes: (file) => translated(() => requireBytes(file)),
    addressOf: (file, shown) => translated(() => addressOf(file, shown)),
    open: (file, range, signal) => translated(() => open(file, range, signal)),
  };
}
