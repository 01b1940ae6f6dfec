/**
 * The part of the catalog that a client shows: one level of the folders, or what a search finds, and where each is. What an event
 * about a file does:
 *
 * | case                                        | file is listed       | file is not listed                                |
 * |---------------------------------------------|----------------------|---------------------------------------------------|
 * | the first page is not loaded yet            | -                    | stays out: the first page will have it            |
 * | the file was taken off the list here        | -                    | stays out                                         |
 * | the same, and the service has deleted it    | -                    | it is restored: as below                          |
 * | the file is elsewhere: in another folder    | leaves the list      | stays out                                         |
 * | the file does not match the search          | updated in its place | stays out                                         |
 * | the file sorts after all files loaded       | updated in its place | comes with its page, or is last if all are loaded |
 * | else                                        | updated in its place | is inserted where it sorts                        |
 *
 * Folders come before the files, as the service lists them. No event is about one: they are read again, see `setFolders`.
 */
import type { FileJson, FileSortJson, FolderJson } from '../../server/wire/files.ts';
import { foldName } from '../../server/wire/fold-name.ts';
import { lastPart } from '../../server/wire/paths.ts';

export interface ListOrder {
  sort: FileSortJson;
  order: 'asc' | 'desc';
  /** Where it is not empty, files of all folders are listed. */
  search: string;
  /** The path of the folder whose level is listed; empty: the top. */
  folder: string;
}

export interface FolderEntry {
  readonly kind: 'folder';
  readonly key: string;
  readonly folder: FolderJson;
}

/** What a list has: folders and files. `key` is another one for each, and stays. */
export type Entry = FolderEntry | { readonly kind: 'file'; readonly key: string; readonly file: FileJson };

/** How an event has changed the list; `renewed`: the file was updated in its place. `index`: among all entries. */
export type Placed = { as: 'inserted'; index: number } | { as: 'renewed' } | { as: 'removed' } | { as: 'nothing' };

/** A page of the list. */
export interface ListedPage {
  folders?: readonly FolderJson[] | undefined;
  files: readonly FileJson[];
}

const NOTHING: Placed = { as: 'nothing' };

export function folderEntry(folder: FolderJson): Entry {
  return { kind: 'folder', key: `folder:${folder.name}`, folder };
}

export function fileEntry(file: FileJson): Entry {
  return { kind: 'file', key: file.id, file };
}

/** The whole path of an entry. */
export function pathOf(entry: Entry): string {
  return entry.kind === 'folder' ? entry.folder.name : entry.file.name;
}

/** The path of the folder that a path is in; empty: the top. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** Whether a path is below a folder, or is the folder itself. */
export function isWithin(path: string, folder: string): boolean {
  return folder === '' || path === folder || path.startsWith(`${folder}/`);
}

export class Listing {
  order: ListOrder = { sort: 'uploaded', order: 'desc', search: '', folder: '' };
  #folders: FolderJson[] = [];
  #files: FileJson[] = [];
  /** Made of both when it is asked for, and kept up to date with them: there may be 100,000. */
  #entries: Entry[] | null = null;
  #cursor: string | null = null;
  #isFilled = false;
  /** Whether all folders of the level are known: files follow, or nothing. */
  #hasAllFolders = false;
  /** Ids of the files that were taken off the list. An answer that is still on its way may contain them. */
  readonly #off = new Set<string>();
  /** Those of them that the service has deleted. */
  readonly #gone = new Set<string>();
  /** Paths of the folders that were. */
  readonly #foldersOff = new Set<string>();

  get files(): readonly FileJson[] {
    return this.#files;
  }

  get folders(): readonly FolderJson[] {
    return this.#folders;
  }

  get entries(): readonly Entry[] {
    this.#entries ??= [...this.#folders.map(folderEntry), ...this.#files.map(fileEntry)];
    return this.#entries;
  }

  /** Where the next page begins; null where all matching files are listed. */
  get cursor(): string | null {
    return this.#cursor;
  }

  get hasAllFolders(): boolean {
    return this.#hasAllFolders;
  }

  has(id: string): boolean {
    return this.#files.some((file) => file.id === id);
  }

  /** Whether a file is in another folder than the one whose level is listed. */
  isElsewhere({ name }: FileJson): boolean {
    return this.order.search === '' && parentOf(name) !== this.order.folder;
  }

  /**
   * Adds a page.
   *
   * @param from - the cursor that it was requested with; null for the first page, which replaces the whole list.
   * @param cursor - of the page after it; null where it is the last one.
   */
  fill(from: string | null, { folders = [], files }: ListedPage, cursor: string | null): void {
    const known = from === null ? [] : this.#files;
    const ids = new Set(known.map(({ id }) => id));
    this.#files = [...known, ...files.filter((file) => !ids.has(file.id) && !this.#isOff(file))];
    this.#takeFolders(from === null ? [] : this.#folders, folders);
    this.#cursor = cursor;
    this.#isFilled = true;
    this.#hasAllFolders = files.length > 0 || cursor === null;
  }

  /** Another level comes: until its first page is there, events change nothing. */
  clear(): void {
    this.#isFilled = false;
    this.#hasAllFolders = false;
  }

  /** Takes all folders of the level, as they are now. @returns whether any is another. */
  setFolders(folders: readonly FolderJson[]): boolean {
    const before = this.#folders;
    this.#takeFolders([], folders);
    const isSame =
      before.length === this.#folders.length &&
      before.every((one, index) => {
        const other = this.#folders[index];
        return one.name === other?.name && one.files === other.files && one.bytes === other.bytes;
      });
    return !isSame;
  }

  /** A folder has another path: where it stays in the level, it has another name, and its place until the folders are read again. */
  moveFolder(from: string, to: string): void {
    const stays = this.order.search === '' && parentOf(to) === this.order.folder;
    this.#takeFolders(
      [],
      this.#folders.flatMap((folder) => (folder.name !== from ? [folder] : stays ? [{ ...folder, name: to }] : [])),
    );
  }

  /** Takes a file from an event: updates it, inserts it, or ignores it (see the table above). */
  place(file: FileJson): Placed {
    if (this.#gone.delete(file.id)) this.#off.delete(file.id);
    if (!this.#isFilled || this.#isOff(file)) return NOTHING;
    const index = this.#files.findIndex(({ id }) => id === file.id);
    if (index < 0) return this.#insert(file);
    if (this.isElsewhere(file)) {
      this.#files.splice(index, 1);
      this.#entries?.splice(this.#folders.length + index, 1);
      return { as: 'removed' };
    }
    this.#files[index] = file;
    this.#entries?.splice(this.#folders.length + index, 1, fileEntry(file));
    return { as: 'renewed' };
  }

  /** Takes a file off the list, and keeps it off. @returns the file, if it was listed. */
  take(id: string): FileJson | undefined {
    this.#off.add(id);
    const index = this.#files.findIndex((file) => file.id === id);
    if (index < 0) return undefined;
    this.#entries?.splice(this.#folders.length + index, 1);
    return this.#files.splice(index, 1)[0];
  }

  /** The service has deleted a file that was taken off the list: an event that tells of it again tells that it was restored. */
  gone(id: string): void {
    this.#gone.add(id);
  }

  /** The first page is about to be asked for: which of the deleted files are restored by then, its answer knows. */
  beginAnew(): void {
    for (const id of this.#gone) this.#off.delete(id);
    this.#gone.clear();
  }

  /** Undoes `take`. @param taken - what `take` returned; it is put back. */
  giveBack(id: string, taken: FileJson | undefined): Placed {
    this.#off.delete(id);
    this.#gone.delete(id);
    return taken && !this.has(id) ? this.#insert(taken) : NOTHING;
  }

  /** Takes a folder off the list, and all below it, and keeps them off. */
  takeFolder(path: string): void {
    this.#foldersOff.add(path);
    this.#takeFolders([], this.#folders);
    this.#files = this.#files.filter((file) => !this.#isOff(file));
    this.#entries = null;
  }

  /** The folder that was taken off is deleted: another one may come to its path. */
  forgetFolder(path: string): void {
    this.#foldersOff.delete(path);
  }

  /** Undoes `takeFolder`. @param taken - the folder as it was; it is put back. Undefined: it is gone. */
  giveFolderBack(path: string, taken: FolderJson | undefined): Placed {
    this.#foldersOff.delete(path);
    const { search, folder } = this.order;
    if (!taken || search !== '' || parentOf(path) !== folder) return NOTHING;
    if (this.#folders.some(({ name }) => name === path)) return NOTHING;
    const before = this.#folders.findIndex((other) => this.#compareFolders(taken, other) <= 0);
    const index = before < 0 ? this.#folders.length : before;
    this.#folders.splice(index, 0, taken);
    this.#entries?.splice(index, 0, folderEntry(taken));
    return { as: 'inserted', index };
  }

  #takeFolders(known: readonly FolderJson[], folders: readonly FolderJson[]): void {
    const names = new Set(known.map(({ name }) => name));
    this.#folders = [...known, ...folders.filter(({ name }) => !names.has(name) && !this.#isOffPath(name))];
    this.#entries = null;
  }

  #isOff({ id, name }: FileJson): boolean {
    return this.#off.has(id) || this.#isOffPath(name);
  }

  #isOffPath(path: string): boolean {
    for (const folder of this.#foldersOff) if (isWithin(path, folder)) return true;
    return false;
  }

  #insert(file: FileJson): Placed {
    if (this.isElsewhere(file)) return NOTHING;
    if (!foldName(lastPart(file.name)).includes(foldName(this.order.search))) return NOTHING;
    const before = this.#files.findIndex((other) => compare(file, other, this.order) <= 0);
    if (before < 0 && this.#cursor !== null) return NOTHING;
    const index = before < 0 ? this.#files.length : before;
    this.#files.splice(index, 0, file);
    this.#entries?.splice(this.#folders.length + index, 0, fileEntry(file));
    return { as: 'inserted', index: this.#folders.length + index };
  }

  /** As the service sorts them: always by name, downwards only where the files are. */
  #compareFolders(a: FolderJson, b: FolderJson): number {
    const by = compareNames(a.name, b.name);
    return this.order.sort === 'name' && this.order.order === 'desc' ? -by : by;
  }
}

function compareNames(a: string, b: string): number {
  const [one, other] = [foldName(lastPart(a)), foldName(lastPart(b))];
  return Number(one > other) - Number(one < other);
}

/** Compares as the service sorts. */
function compare(a: FileJson, b: FileJson, { sort, order }: ListOrder): number {
  const by = {
    size: () => a.size - b.size,
    name: () => compareNames(a.name, b.name),
    uploaded: () => Date.parse(a.uploadedAt) - Date.parse(b.uploadedAt),
  }[sort]();
  return order === 'asc' ? by : -by;
}
