/** The list of files: pages of the catalog, kept up to date by the service's events. */
import type { FileJson, FilePageJson, FilesTotalJson } from '../../../server/wire/files.ts';
import { Listing, type ListOrder, type Placed } from '../../core/listing.ts';
import { type ApiError, listFiles } from './api.ts';
import { createPages, MOST, type Pages } from './pages.ts';
import { createTotal, type Total } from './total.ts';

export interface CatalogEvents {
  /** Entries were loaded or removed, or the state has changed. */
  onChange(): void;
  onInserted(index: number): void;
  onRenewed(file: FileJson): void;
}

/** Files on the first page: few, so that it loads fast. The pages after it are larger. */
const FIRST_PAGE = 200;

export class Catalog {
  readonly #events: CatalogEvents;
  readonly #listing = new Listing();
  readonly #pages: Pages;
  readonly #total: Total;
  /** Files from events while a page is loading: the page may be older than the event. */
  #told: FileJson[] = [];

  constructor(events: CatalogEvents) {
    this.#events = events;
    this.#total = createTotal(() => events.onChange());
    this.#pages = createPages({
      ask: (from, limit, signal) => ask(this.order, from, limit, signal),
      onBegin: (from) => {
        this.#told = [];
        if (from === null) this.#listing.beginAnew();
      },
      onPage: (page) => this.#total.set(page.total),
      onLoaded: (from, files, next) => {
        this.#listing.fill(from, files, next);
        for (const file of this.#told) this.#tell(this.#listing.place(file), file);
      },
      onEnd: () => events.onChange(),
    });
  }

  get files(): readonly FileJson[] {
    return this.#listing.files;
  }

  get state(): Pages['state'] {
    return this.#pages.state;
  }

  /** Why the list could not be loaded. */
  get problem(): ApiError | null {
    return this.#pages.problem;
  }

  get order(): Readonly<ListOrder> {
    return this.#listing.order;
  }

  /** Number and size of all files, without those that are taken off the list; null while not known. */
  get total(): FilesTotalJson | null {
    return this.#total.value;
  }

  /** Whether all matching files are in `files`. */
  get isWhole(): boolean {
    return this.#listing.cursor === null;
  }

  setOrder(order: Partial<ListOrder>): void {
    this.#listing.order = { ...this.order, ...order };
    void this.#pages.load(null, FIRST_PAGE);
  }

  /** Loads the list again from the start, with at least as many entries as it has. */
  reload(): Promise<void> {
    // And some more: new files must not push out what is in sight.
    return this.#pages.load(null, this.files.length + FIRST_PAGE);
  }

  /** Loads the next page, if there is one. */
  async more(): Promise<void> {
    const { cursor } = this.#listing;
    if (cursor !== null && !this.#pages.isLoading && this.state === 'ready') await this.#pages.load(cursor, MOST);
  }

  /** Takes a published or renamed file from an event. */
  put(file: FileJson): void {
    if (this.#pages.isLoading) this.#told.push(file);
    if (!this.#listing.has(file.id)) this.#total.renew();
    // Also while a page is loading: loading may fail, or be about a page that does not have this file.
    this.#tell(this.#listing.place(file), file);
    this.#events.onChange();
  }

  /** Takes a file off the list. @returns a function that puts it back. */
  take(id: string): () => void {
    const taken = this.#take(id);
    if (taken) this.#events.onChange();
    return () => {
      this.#total.giveBack(id);
      const placed = this.#listing.giveBack(id, taken);
      if (!taken) return;
      this.#tell(placed, taken);
      this.#events.onChange();
    };
  }

  /** Takes a file off the list that the service no longer has. */
  gone(id: string): void {
    this.#take(id);
    this.#listing.gone(id);
    this.#total.gone(id);
    this.#events.onChange();
  }

  #take(id: string): FileJson | undefined {
    const taken = this.#listing.take(id);
    if (taken) this.#total.withhold(taken);
    return taken;
  }

  #tell(placed: Placed, file: FileJson): void {
    if (placed.as === 'inserted') this.#events.onInserted(placed.index);
    if (placed.as === 'renewed') this.#events.onRenewed(file);
  }
}

function ask(
  { search, ...order }: ListOrder,
  from: string | null,
  limit: number,
  signal: AbortSignal,
): Promise<FilePageJson> {
  const query = { limit: String(limit), ...order, ...(search && { search }), ...(from !== null && { cursor: from }) };
  return listFiles(query, signal);
}
