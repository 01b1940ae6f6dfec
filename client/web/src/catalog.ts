/** The files as they are listed: pages of the catalog, kept up to date by what the service tells. */
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

/** Soon there; those that follow come in larger portions. */
const FIRST_PAGE = 200;

export class Catalog {
  readonly #events: CatalogEvents;
  readonly #listing = new Listing();
  readonly #pages: Pages;
  readonly #total: Total;
  /** Told of while an answer is on its way, which may be older. */
  #told: FileJson[] = [];

  constructor(events: CatalogEvents) {
    this.#events = events;
    this.#total = createTotal(() => events.onChange());
    this.#pages = createPages({
      ask: (from, limit, signal) => ask(this.order, from, limit, signal),
      onBegin: () => {
        this.#told = [];
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

  /** Why the list is lost. */
  get problem(): ApiError | null {
    return this.#pages.problem;
  }

  get order(): Readonly<ListOrder> {
    return this.#listing.order;
  }

  /** Of all files, without those that are taken off the list; null while it is not known. */
  get total(): FilesTotalJson | null {
    return this.#total.value;
  }

  /** Whether all that match are in `files`. */
  get isWhole(): boolean {
    return this.#listing.cursor === null;
  }

  setOrder(order: Partial<ListOrder>): void {
    this.#listing.order = { ...this.order, ...order };
    void this.#pages.load(null, FIRST_PAGE);
  }

  /** From the start, with at least as many entries as there are. */
  reload(): Promise<void> {
    // Some more: what is new must not push out what is in sight.
    return this.#pages.load(null, this.files.length + FIRST_PAGE);
  }

  /** The next page, if there is one. */
  async more(): Promise<void> {
    const { cursor } = this.#listing;
    if (cursor !== null && !this.#pages.isLoading && this.state === 'ready') await this.#pages.load(cursor, MOST);
  }

  put(file: FileJson): void {
    if (this.#pages.isLoading) this.#told.push(file);
    if (!this.#listing.has(file.id)) this.#total.renew();
    // Also while the next page cannot be had: that page will not tell of it.
    this.#tell(this.#listing.place(file), file);
    this.#events.onChange();
  }

  /** Takes it off the list; puts it back with the returned function. */
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

  /** The service no longer has it. */
  gone(id: string): void {
    this.#take(id);
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
