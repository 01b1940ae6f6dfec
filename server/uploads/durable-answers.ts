/**
 * Wraps uploads, files, folders, trash and archives, as the edges call them, so that no answer reports what a power cut could undo. Methods that
 * write wait for their own commit already (append, createAtOnce, receiveWhole, view, rename, remove). Here the others wait, once
 * for each answer, until all that they have read is durable. Where nothing is unsynced, that costs nothing.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { Archives, Files, Folders, Uploads } from './contract.ts';
import { TidemarkError } from './errors.ts';
import type { Quotas } from './quotas.ts';
import type { Trash } from './trash-contract.ts';
import type { Writer } from './writer.ts';
import { toTidemarkError } from './translate.ts';

/** Refusals that say nothing about what is in the catalog: they need not wait. */
const SILENT = new Set(['store_unavailable', 'shutting_down', 'internal']);

/** What the edges call. */
interface Answering {
  uploads: Uploads;
  files: Files;
  folders: Folders;
  trash: Trash;
  archives: Archives;
  quotas: Quotas;
}

/** Uploads and files with the contracts' own signatures, whose answers wait. */
export function withDurableAnswers(
  { uploads, files, folders, trash, archives, quotas }: Answering,
  { durable }: Pick<Catalog, 'durable'>,
): Answering {
  async function untilDurable(): Promise<void> {
    try {
      await durable();
    } catch (error) {
      throw toTidemarkError(error);
    }
  }

  /** A refusal waits, too: it may say that something is gone, expired or taken over. */
  async function waitingToRefuse<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof TidemarkError && SILENT.has(error.code))) await untilDurable();
      throw error;
    }
  }

  function waiting<T>(action: () => Promise<T>, isTold: (result: T) => boolean = () => true): Promise<T> {
    return waitingToRefuse(async () => {
      const result = await action();
      if (isTold(result)) await untilDurable();
      return result;
    });
  }

  function durableWriter(writer: Writer): Writer {
    return {
      ...writer,
      append: (source, given) => waitingToRefuse(() => writer.append(source, given)),
      end: (reason) => waiting(() => writer.end(reason)),
      reject: (reason) => waiting(() => writer.reject(reason)),
      remove: () => waiting(() => writer.remove()),
    };
  }

  return {
    uploads: {
      ...uploads,
      begin: (request) => waiting(() => uploads.begin(request)),
      beginWriting: async (request) => durableWriter(await waitingToRefuse(() => uploads.beginWriting(request))),
      createAtOnce: (request, bytes) => waitingToRefuse(() => uploads.createAtOnce(request, bytes)),
      completeAtOnce: (id, owner, bytes) => waitingToRefuse(() => uploads.completeAtOnce(id, owner, bytes)),
      beginFinal: (request) => waiting(() => uploads.beginFinal(request)),
      // For a receiving upload this is only a step on the way to a writer; for one that has ended, it is the answer.
      current: (id, owner) =>
        waiting(
          () => uploads.current(id, owner),
          ({ state }) => state !== 'receiving',
        ),
      view: (id, owner, options) => waitingToRefuse(() => uploads.view(id, owner, options)),
      open: async (id, owner, options) => durableWriter(await waitingToRefuse(() => uploads.open(id, owner, options))),
      fence: (id, owner, signal) => waitingToRefuse(() => uploads.fence(id, owner, signal)),
      end: (id, owner, signal) => waiting(() => uploads.end(id, owner, signal)),
      receiveWhole: (request, source, signal) => waitingToRefuse(() => uploads.receiveWhole(request, source, signal)),
    },
    files: {
      ...files,
      findNamed: (names, owner) => waiting(() => files.findNamed(names, owner)),
      check: (query) => waiting(() => files.check(query)),
      prove: (query) => waiting(() => files.prove(query)),
      list: (query) => waiting(() => files.list(query)),
      totalOf: (owner) => waiting(() => files.totalOf(owner)),
      get: (id, owner) => waiting(() => files.get(id, owner)),
      find: (name, owner, which) => waiting(() => files.find(name, owner, which)),
      findContent: (name) => waiting(() => files.findContent(name)),
      rename: (id, owner, name) => waitingToRefuse(() => files.rename(id, owner, name)),
      remove: (id, owner) => waitingToRefuse(() => files.remove(id, owner)),
    },
    ...durableTree({ folders, trash, archives, quotas }, { waiting, waitingToRefuse }),
  };
}

interface Waits {
  waiting: <T>(action: () => Promise<T>) => Promise<T>;
  waitingToRefuse: <T>(action: () => Promise<T>) => Promise<T>;
}

function durableTree(
  { folders, trash, archives, quotas }: Omit<Answering, 'uploads' | 'files'>,
  { waiting, waitingToRefuse }: Waits,
): Omit<Answering, 'uploads' | 'files'> {
  return {
    folders: {
      get: (path, owner) => waiting(() => folders.get(path, owner)),
      list: (query) => waiting(() => folders.list(query)),
      listBelow: (query) => waiting(() => folders.listBelow(query)),
      move: (path, owner, to) => waitingToRefuse(() => folders.move(path, owner, to)),
      remove: (request) => waitingToRefuse(() => folders.remove(request)),
    },
    trash: {
      ...trash,
      list: (query) => waiting(() => trash.list(query)),
      totalOf: (owner) => waiting(() => trash.totalOf(owner)),
      restore: (owner, meant, signal) => waitingToRefuse(() => trash.restore(owner, meant, signal)),
      remove: (owner, meant, signal) => waitingToRefuse(() => trash.remove(owner, meant, signal)),
    },
    quotas: { of: (owner) => waiting(() => quotas.of(owner)) },
    archives: {
      prepare: (ids, owner, asker) => waiting(() => archives.prepare(ids, owner, asker)),
      prepareOwn: (asked, owner) => waiting(() => archives.prepareOwn(asked, owner)),
      countBelow: (paths, owner) => waiting(() => archives.countBelow(paths, owner)),
      prepareShared: (shared, owner) => waiting(() => archives.prepareShared(shared, owner)),
    },
  };
}
