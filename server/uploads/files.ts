/** Files of the catalog: list, rename, read and remove them. find-files.ts finds them. */
import type { Readable } from 'node:stream';
import { type ByteRange, StoreError } from '../../stores/store.ts';
import type { ContentRecord, FileQuery, FileRecord } from '../catalog/catalog.ts';
import type { CheckResult, Files, FileViewPage, HasContent } from './contract.ts';
import type { Check, Checked } from './check.ts';
import { TidemarkError } from './errors.ts';
import { fateOf } from './fate.ts';
import { createFindFiles } from './find-files.ts';
import { checkName, typeOfName } from './names.ts';
import type { Parts } from './parts.ts';
import type { Possession } from './possession.ts';
import { removeBytes } from './remove-bytes.ts';
import { hasBytes, reportLost } from './stored-bytes.ts';
import type { Shown } from './shown.ts';
import { translated } from './translate.ts';
import { contentRowOf, contentViewOf } from './views.ts';

export interface FileActions {
  remove(id: string, owner: string): Promise<FileRecord>;
}

/** Deletes files: into the trash, or for good; then the bytes of a content go with its last file. */
export function createFileActions(parts: Parts): FileActions {
  const { catalog } = parts;

  async function remove(id: string, owner: string): Promise<FileRecord> {
    const file = await catalog.findFile(id, owner);
    if (!file) throw new TidemarkError('not_found');
    return parts.contentMutex.run(file.content.md5, async () => {
      const deleted = await catalog.deleteFile(id, owner, fateOf(parts.limits));
      if (!deleted) throw new TidemarkError('not_found');
      // The row's deletion is durable before the bytes go. Otherwise a power cut leaves a file without bytes.
      await catalog.durable();
      if (deleted.removedKey !== null) await removeBytes(parts, deleted.removedKey);
      return deleted.file;
    });
  }

  return { remove };
}

/** A check or a proof. @param onCompared - called for contents that the owner has asked for by SHA-256. */
type FindChecked = (onCompared: (content: ContentRecord) => void) => Promise<Checked>;

/** Prepares what `Files` promises. */
export function createFiles(
  parts: Parts,
  actions: FileActions,
  { check, possession, shown: { asked, told } }: { check: Check; possession: Possession; shown: Shown },
): Files {
  const { catalog, store } = parts;
  const found = createFindFiles(parts);

  async function rename(id: string, owner: string, name: string): Promise<FileRecord> {
    checkName(name, 'name');
    const file = await catalog.renameFile(id, owner, name, typeOfName(name));
    if (!file) throw new TidemarkError('not_found');
    await catalog.durable();
    return file;
  }

  async function requireBytes({ content }: HasContent): Promise<void> {
    if (!(await hasBytes(parts, contentRowOf(content)))) throw new TidemarkError('content_damaged');
  }

  async function open(
    content: ContentRecord,
    range: ByteRange | undefined,
    signal: AbortSignal,
    isAgain = false,
  ): Promise<Readable> {
    const { key, size } = content;
    // An empty file has no range to read.
    const isNone = range !== undefined && range.end < range.start;
    try {
      return await store.readContent(key, isNone ? undefined : range, signal, size);
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'missing')) throw error;
      const now = await reportLost(parts, content, { err: error });
      if (!now) throw new TidemarkError('not_found', { cause: error });
      if (now.key === key || isAgain) throw new TidemarkError('content_damaged', { cause: error });
      return open(now, range, signal, true);
    }
  }

  async function addressOf(file: HasContent, shown: { type: string; disposition: string }): Promise<string | null> {
    const lifeMs = parts.limits.addressLifeMs;
    if (lifeMs === null || !store.capabilities.address) return null;
    // At a presigned address the store delivers whatever it has under the key: check it before.
    await requireBytes(file);
    return store.addressOf(contentRowOf(file.content).key, { ...shown, lifeMs });
  }

  async function checked(owner: string, find: FindChecked): Promise<CheckResult> {
    // The owner may see the digests of these contents only: another owner may have asked for the others.
    const result = await find(({ id }) => asked.note(owner, id));
    if (result.status !== 'exists') return result;
    const { content, file } = result;
    return { status: 'exists', content: contentViewOf(content), file: file && told(file) };
  }

  async function list(query: FileQuery): Promise<FileViewPage> {
    const { files, nextCursor } = await catalog.listFiles(query);
    return { files: files.map(told), nextCursor };
  }

  return {
    findNamed: (names, owner) => translated(() => found.findNamed(names, owner)),
    check: (query) => translated(() => checked(query.owner, (onCompared) => check(query, onCompared))),
    prove: (query) => translated(() => checked(query.owner, (onCompared) => possession.prove(query, onCompared))),
    list: (query) => translated(() => list(query)),
    totalOf: (owner) => translated(() => catalog.totalOf(owner)),
    get: (id, owner) => translated(async () => told(await found.get(id, owner))),
    find: (name, owner, which) => translated(async () => told(await found.find(name, owner, which))),
    findContent: (name) => translated(async () => contentViewOf(await found.findContent(name))),
    rename: (id, owner, name) => translated(async () => told(await rename(id, owner, name))),
    remove: (id, owner) => translated(async () => told(await actions.remove(id, owner))),
    requireBytes: (file) => translated(() => requireBytes(file)),
    addressOf: (file, shown) => translated(() => addressOf(file, shown)),
    open: ({ content }, range, signal) => translated(() => open(contentRowOf(content), range, signal)),
  };
}
