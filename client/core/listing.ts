/**
 * Part of the catalog, as a client lists it: which files are in the list, and where.
 *
 * | the service tells of a file that | is listed               | is not listed                                       |
 * |----------------------------------|-------------------------|-----------------------------------------------------|
 * | comes before the first page      | -                       | it stays off: the page tells of it                  |
 * | was taken off the list here      | -                       | it stays off                                        |
 * | does not match the search        | renewed in its place    | it stays off                                        |
 * | comes after all that is loaded   | renewed in its place    | it comes with its page, or is last if there is none |
 * | else                             | renewed in its place    | it is inserted where the order has it               |
 */
import type { FileJson, FileSortJson } from '../../server/wire/files.ts';

export interface ListOrder {
  sort: FileSortJson;
  order: 'asc' | 'desc';
  search: string;
}

/** What has become of the list. */
export type Placed = { as: 'inserted'; index: number } | { as: 'renewed' } | { as: 'nothing' };

const NOTHING: Placed = { as: 'nothing' };

export class Listing {
  order: ListOrder = { sort: 'uploaded', order: 'desc', search: '' };
  #files: FileJson[] = [];
  #cursor: string | null = null;
  #isFilled = false;
  /** Taken off: an answer that is on its way may still tell of them. */
  readonly #off = new Set<string>();

  get files(): readonly FileJson[] {
    return this.#files;
  }

  /** Where the next page begins; null where all that match are listed. */
  get cursor(): string | null {
    return this.#cursor;
  }

  has(id: string): boolean {
    return this.#files.some((file) => file.id === id);
  }

  /** Takes what the service lists from a cursor on: in place of all there was, or after it. */
  fill(from: string | null, files: readonly FileJson[], cursor: string | null): void {
    const known = from === null ? [] : this.#files;
    const ids = new Set([...known.map(({ id }) => id), ...this.#off]);
    this.#files = [...known, ...files.filter(({ id }) => !ids.has(id))];
    this.#cursor = cursor;
    this.#isFilled = true;
  }

  /** The service tells of a file. */
  place(file: FileJson): Placed {
    if (!this.#isFilled || this.#off.has(file.id)) return NOTHING;
    const index = this.#files.findIndex(({ id }) => id === file.id);
    if (index < 0) return this.#insert(file);
    this.#files[index] = file;
    return { as: 'renewed' };
  }

  /** Takes a file off the list. @returns it, if it was there. */
  take(id: string): FileJson | undefined {
    this.#off.add(id);
    const index = this.#files.findIndex((file) => file.id === id);
    return index < 0 ? undefined : this.#files.splice(index, 1)[0];
  }

  /** The file may be listed again. @param taken - puts it back. */
  giveBack(id: string, taken: FileJson | undefined): Placed {
    this.#off.delete(id);
    return taken && !this.has(id) ? this.#insert(taken) : NOTHING;
  }

  #insert(file: FileJson): Placed {
    if (!lower(file.name).includes(lower(this.order.search))) return NOTHING;
    const before = this.#files.findIndex((other) => compare(file, other, this.order) <= 0);
    if (before < 0 && this.#cursor !== null) return NOTHING;
    const index = before < 0 ? this.#files.length : before;
    this.#files.splice(index, 0, file);
    return { as: 'inserted', index };
  }
}

/** As the service orders. */
function compare(a: FileJson, b: FileJson, { sort, order }: ListOrder): number {
  const by = {
    size: () => a.size - b.size,
    name: () => Number(lower(a.name) > lower(b.name)) - Number(lower(a.name) < lower(b.name)),
    uploaded: () => Date.parse(a.uploadedAt) - Date.parse(b.uploadedAt),
  }[sort]();
  return order === 'asc' ? by : -by;
}

/** The service leaves the case of letters other than ASCII's as it is. */
function lower(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}
