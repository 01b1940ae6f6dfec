/**
 * The part of the catalog that a client shows: which files are in the list, and where. What an event about a file does:
 *
 * | case                                        | file is listed       | file is not listed                                |
 * |---------------------------------------------|----------------------|---------------------------------------------------|
 * | the first page is not loaded yet            | -                    | stays out: the first page will have it            |
 * | the file was taken off the list here        | -                    | stays out                                         |
 * | the same, and the service has deleted it    | -                    | it is restored: as below                          |
 * | the file does not match the search          | updated in its place | stays out                                         |
 * | the file sorts after all files loaded       | updated in its place | comes with its page, or is last if all are loaded |
 * | else                                        | updated in its place | is inserted where it sorts                        |
 */
import type { FileJson, FileSortJson } from '../../server/wire/files.ts';
import { foldName } from '../../server/wire/fold-name.ts';
import { lastPart } from '../../server/wire/paths.ts';

export interface ListOrder {
  sort: FileSortJson;
  order: 'asc' | 'desc';
  search: string;
}

/** How an event has changed the list; `renewed`: the file was updated in its place. */
export type Placed = { as: 'inserted'; index: number } | { as: 'renewed' } | { as: 'nothing' };

const NOTHING: Placed = { as: 'nothing' };

export class Listing {
  order: ListOrder = { sort: 'uploaded', order: 'desc', search: '' };
  #files: FileJson[] = [];
  #cursor: string | null = null;
  #isFilled = false;
  /** Ids of the files that were taken off the list. An answer that is still on its way may contain them. */
  readonly #off = new Set<string>();
  /** Those of them that the service has deleted. */
  readonly #gone = new Set<string>();

  get files(): readonly FileJson[] {
    return this.#files;
  }

  /** Where the next page begins; null where all matching files are listed. */
  get cursor(): string | null {
    return this.#cursor;
  }

  has(id: string): boolean {
    return this.#files.some((file) => file.id === id);
  }

  /**
   * Adds a page.
   *
   * @param from - the cursor that it was requested with; null for the first page, which replaces the whole list.
   * @param cursor - of the page after it; null where it is the last one.
   */
  fill(from: string | null, files: readonly FileJson[], cursor: string | null): void {
    const known = from === null ? [] : this.#files;
    const ids = new Set([...known.map(({ id }) => id), ...this.#off]);
    this.#files = [...known, ...files.filter(({ id }) => !ids.has(id))];
    this.#cursor = cursor;
    this.#isFilled = true;
  }

  /** Takes a file from an event: updates it, inserts it, or ignores it (see the table above). */
  place(file: FileJson): Placed {
    if (this.#gone.delete(file.id)) this.#off.delete(file.id);
    if (!this.#isFilled || this.#off.has(file.id)) return NOTHING;
    const index = this.#files.findIndex(({ id }) => id === file.id);
    if (index < 0) return this.#insert(file);
    this.#files[index] = file;
    return { as: 'renewed' };
  }

  /** Takes a file off the list, and keeps it off. @returns the file, if it was listed. */
  take(id: string): FileJson | undefined {
    this.#off.add(id);
    const index = this.#files.findIndex((file) => file.id === id);
    return index < 0 ? undefined : this.#files.splice(index, 1)[0];
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

  #insert(file: FileJson): Placed {
    if (!foldName(lastPart(file.name)).includes(foldName(this.order.search))) return NOTHING;
    const before = this.#files.findIndex((other) => compare(file, other, this.order) <= 0);
    if (before < 0 && this.#cursor !== null) return NOTHING;
    const index = before < 0 ? this.#files.length : before;
    this.#files.splice(index, 0, file);
    return { as: 'inserted', index };
  }
}

/** Compares as the service sorts. */
function compare(a: FileJson, b: FileJson, { sort, order }: ListOrder): number {
  const by = {
    size: () => a.size - b.size,
    name: () => {
      const [one, other] = [foldName(lastPart(a.name)), foldName(lastPart(b.name))];
      return Number(one > other) - Number(one < other);
    },
    uploaded: () => Date.parse(a.uploadedAt) - Date.parse(b.uploadedAt),
  }[sort]();
  return order === 'asc' ? by : -by;
}
