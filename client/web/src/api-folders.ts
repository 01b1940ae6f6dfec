/** The service's HTTP API of folders, as the page uses it. */
import type {
  DeletedJson,
  FileJson,
  FilesTotalJson,
  FolderJson,
  MoveJson,
  NamesJson,
  TakenJson,
  TakenNameJson,
} from '../../../server/wire/files.ts';
import { ApiError, jsonOf, listFiles, request } from './api.ts';

const JSON_TYPE = { 'Content-Type': 'application/json' };
/** The longest wait for an answer to the deletion of a folder: the service answers after some seconds, and removes bytes before. */
const DELETED_MS = 120_000;
/** The longest wait for an answer to a question before which nothing is sent. */
const NAMES_MS = 5_000;
/** So many names, with so many characters, are asked for in one request. */
const MOST_NAMES = 500;
const MOST_NAME_CHARACTERS = 50_000;

function folderUrl(path: string): string {
  return `api/folders?${new URLSearchParams({ path }).toString()}`;
}

/** Undefined where there is no such folder. */
export async function findFolder(path: string): Promise<FolderJson | undefined> {
  return noneIfLost(async () => jsonOf<FolderJson>(await request(folderUrl(path))));
}

/** The entries of one level. A folder that is not there is empty: it comes with its first file. */
export async function listLevel(
  folder: string,
  query: Record<string, string>,
  signal?: AbortSignal,
): Promise<{ folders: FolderJson[]; files: FileJson[]; nextCursor: string | null; total: FilesTotalJson | null }> {
  const page = await noneIfLost(() => listFiles({ ...query, prefix: folder }, signal));
  return { folders: [], files: [], nextCursor: null, total: null, ...page };
}

async function noneIfLost<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof ApiError && error.code === 'not_found') return undefined;
    throw error;
  }
}

/** Moves a folder with all below it, or renames it. */
export async function moveFolder(path: string, to: string): Promise<FolderJson> {
  const body = JSON.stringify({ path: to } satisfies MoveJson);
  return jsonOf(await request(folderUrl(path), { method: 'PATCH', headers: JSON_TYPE, body }));
}

/** How the deletion of a folder has ended. */
export interface FolderDeleted {
  /** Its id, by which what was deleted is restored; undefined where the service has no trash. */
  deletion: string | undefined;
  /** Why not all was deleted. */
  problem?: unknown;
}

/**
 * Deletes what is in a folder. The first request outlives the page, as that of `deleteFile`; of a large folder the service deletes for
 * some seconds, and what is left by then stays where the page is left.
 *
 * @throws where the first request fails.
 */
export async function deleteFolder(path: string): Promise<FolderDeleted> {
  let cursor: string | null = null;
  let deletion: string | undefined;
  do {
    const url: string = folderUrl(path) + (cursor === null ? '' : `&${new URLSearchParams({ cursor }).toString()}`);
    const signal = AbortSignal.timeout(DELETED_MS);
    try {
      const answer: DeletedJson = await jsonOf(await request(url, { method: 'DELETE', keepalive: true, signal }));
      cursor = answer.nextCursor;
      deletion ??= answer.deletion;
    } catch (problem) {
      if (cursor === null) throw problem;
      return { deletion, problem };
    }
  } while (cursor !== null);
  return { deletion };
}

/** The files that have any of these names. */
export async function findNamed(names: readonly string[]): Promise<TakenNameJson[]> {
  const taken: TakenNameJson[] = [];
  const signal = AbortSignal.timeout(NAMES_MS);
  for (const portion of portionsOf(names)) {
    const body = JSON.stringify({ names: portion } satisfies NamesJson);
    const answer = await request('api/names/taken', { method: 'POST', headers: JSON_TYPE, body, signal });
    taken.push(...(await jsonOf<TakenJson>(answer)).taken);
  }
  return taken;
}

function* portionsOf(names: readonly string[]): Generator<string[]> {
  let portion: string[] = [];
  let characters = 0;
  for (const name of names) {
    if (portion.length >= MOST_NAMES || characters + name.length > MOST_NAME_CHARACTERS) {
      yield portion;
      [portion, characters] = [[], 0];
    }
    portion.push(name);
    characters += name.length;
  }
  if (portion.length > 0) yield portion;
}
