/** The list of the open folder, or of what a search finds: pages of the catalog, kept up to date by the service's events. */
import type { FileJson, FilesTotalJson } from '../../../server/wire/files.ts';
import {
  type Entry,
  type FolderEntry,
  isWithin,
  type ListedPage,
  Listing,
  type ListOrder,
  parentOf,
  type Placed,
} from '../../core/listing.ts';
import { type ApiError, listFiles } from './api.ts';
import { listLevel } from './api-folders.ts';
import { createFolderRenewal, type FolderRenewal } from './folder-renewal.ts';
import { createPages, MOST, type Pages } from './pages.ts';
import { createTotal, type Total } from './total.ts';

export interface CatalogEvents {
  /** Entries were loaded or removed, or the state has changed. */
  onChange(): void;
  onInserted(index: number): void;
  /** What is known of a file is newer; it need not be listed. */
  onRenewed(file: FileJson): void;
  /** A file is in another folder than the open one. */
  onLeft(id: string): void;
  /** Files were loaded: what is known of them is newer. */
  onLoaded(files: readonly FileJson[]): void;
  /** The list of a folder that was opened is there. */
  onOpened(): void;
}

/** Entries on the first page: few, so that it loads fast. The pages after it are larger. */
const FIRST_PAGE = 200;

export class Catalog {
  readonly #events: CatalogEvents;
  readonly #listing = new Listing();
  readonly #pages: Pages;
  readonly #total: Total;
  readonly #renewal: FolderRenewal;
  /** Files from events while a page is loading: the page may be older than the event. */
  #told: FileJson[] = [];
  /** A folder was opened, and its list is not there yet: `entries` are those of the one before. */
  #isOpening = false;

  constructor(events: CatalogEvents, folder: string) {
    this.#events = events;
    this.#listing.order.folder = folder;
    this.#total = createTotal(() => events.onChange());
    this.#total.show(folder);
    this.#pages = createPages({
      ask: (from, limit, signal) => ask(this.order, from, limit, signal),
      onBegin: (from) => {
        this.#told = [];
        if (from === null) this.#listing.beginAnew();
      },
      onPage: (page) => {
        if (page.total) this.#total.set(page.total);
      },
      onLoaded: (from, loaded, next) => this.#fill(from, loaded, next),
      onEnd: () => events.onChange(),
    });
    this.#renewal = createFolderRenewal({
      listing: this.#listing,
      isLoading: () => this.#pages.isLoading,
      reload: () => this.#pages.load(null, Math.max(FIRST_PAGE, this.entries.length)),
      onInserted: (index) => events.onInserted(index),
      onChange: () => events.onChange(),
    });
  }

  /** Folders, and then files. */
  get entries(): readonly Entry[] {
    return this.#listing.entries;
  }

  get state(): Pages['state'] {
    return this.#pages.state;
  }

  get isOpening(): boolean {
    return this.#isOpening;
  }

  /** Why the list could not be loaded. */
  get problem(): ApiError | null {
    return this.#pages.problem;
  }

  get order(): Readonly<ListOrder> {
    return this.#listing.order;
  }

  /** Number and size of all files below the open folder, without those that are taken off the list; null while not known. */
  get total(): FilesTotalJson | null {
    return this.#total.value;
  }

  /** Whether all matching entries are in `entries`. */
  get isWhole(): boolean {
    return this.#listing.cursor === null;
  }

  setOrder(order: Partial<ListOrder>): void {
    this.#listing.order = { ...this.order, ...order };
    void this.#pages.load(null, FIRST_PAGE);
  }

  /** Opens a folder. A search ends. @param atLeast - so many entries are loaded at once. */
  open(folder: string, atLeast: number): void {
    this.#isOpening = true;
    this.#listing.clear();
    this.#total.show(folder);
    this.#listing.order = { ...this.order, folder, search: '' };
    void this.#pages.load(null, Math.max(FIRST_PAGE, atLeast));
    this.#events.onChange();
  }

  /** Loads the list again from the start, with at least as many entries as it has. */
  reload(): Promise<void> {
    // The list of the top has its total.
    if (this.order.folder !== '') this.#total.renew();
    // And some more: new files must not push out what is in sight.
    return this.#pages.load(null, this.entries.length + FIRST_PAGE);
  }

  /** Loads the next page, if there is one. */
  async more(): Promise<void> {
    const { cursor } = this.#listing;
    if (cursor !== null && !this.#pages.isLoading && this.state === 'ready') await this.#pages.load(cursor, MOST);
  }

  /** Takes a published or renamed file from an event. */
  put(file: FileJson, how: 'published' | 'renamed'): void {
    if (this.#pages.isLoading) this.#told.push(file);
    if (!this.#listing.has(file.id)) this.#total.renew();
    // Also while a page is loading: loading may fail, or be about a page that does not have this file.
    this.#tell(this.#listing.place(file), file);
    const { folder } = this.order;
    const isBelow = isWithin(file.name, folder) && parentOf(file.name) !== folder;
    // A renamed file may have come from any of the folders.
    if (isBelow || (how === 'renamed' && this.#listing.folders.length > 0)) this.#renewal.soon();
    this.#events.onChange();
  }

  /** A folder has another path. */
  moved(from: string, to: string): void {
    const { search, folder } = this.order;
    // All paths below it are others.
    if (search !== '') return void this.reload();
    this.#listing.moveFolder(from, to);
    if (isWithin(to, folder) !== isWithin(from, folder)) this.#total.renew();
    this.#renewal.soon();
    this.#events.onChange();
  }

  /** Takes an entry off the list. @returns a function that puts it back. */
  take(entry: Entry): () => void {
    return entry.kind === 'file' ? this.#takeFile(entry.file.id) : this.#takeFolder(entry);
  }

  /** Takes a file off the list that the service no longer has. */
  gone(id: string): void {
    const taken = this.#withhold(id);
    // What was told before is over: placed with the page that is loading, it would count as the restored file.
    this.#told = this.#told.filter((file) => file.id !== id);
    this.#listing.gone(id);
    this.#total.gone(id);
    if (!taken && this.#listing.folders.length > 0) this.#renewal.soon();
    this.#events.onChange();
  }

  /** The service has deleted a folder that was taken off the list. */
  folderGone({ key, folder }: FolderEntry): void {
    this.#listing.forgetFolder(folder.name);
    this.#total.gone(key);
    this.#renewal.soon();
  }

  #fill(from: string | null, loaded: ListedPage, next: string | null): void {
    this.#listing.fill(from, loaded, next);
    this.#events.onLoaded(loaded.files);
    for (const file of this.#told) this.#tell(this.#listing.place(file), file);
    if (!this.#isOpening) return;
    this.#isOpening = false;
    this.#events.onOpened();
  }

  #takeFile(id: string): () => void {
    const taken = this.#withhold(id);
    if (taken) this.#events.onChange();
    return () => {
      this.#total.giveBack(id);
      const placed = this.#listing.giveBack(id, taken);
      if (!taken) return;
      this.#tell(placed, taken);
      this.#events.onChange();
    };
  }

  #takeFolder({ key, folder }: FolderEntry): () => void {
    const { name, files, bytes } = folder;
    this.#listing.takeFolder(name);
    this.#total.withhold(key, name, { files, bytes });
    this.#events.onChange();
    return () => {
      this.#total.giveBack(key);
      const placed = this.#listing.giveFolderBack(name, folder);
      if (placed.as === 'inserted') this.#events.onInserted(placed.index);
      // What is below it was taken off, too.
      if (this.order.search !== '' || isWithin(this.order.folder, name)) void this.reload();
      else this.#renewal.soon();
      this.#events.onChange();
    };
  }

  #withhold(id: string): FileJson | undefined {
    const taken = this.#listing.take(id);
    if (taken) this.#total.withhold(id, taken.name, { files: 1, bytes: taken.size });
    return taken;
  }

  #tell(placed: Placed, file: FileJson): void {
    if (placed.as === 'inserted') this.#events.onInserted(placed.index);
    if (this.#listing.isElsewhere(file)) this.#events.onLeft(file.id);
    else this.#events.onRenewed(file);
  }
}

function ask(
  { search, folder, ...order }: ListOrder,
  from: string | null,
  limit: number,
  signal: AbortSignal,
): ReturnType<typeof listLevel> {
  const query = { limit: String(limit), ...order, ...(from !== null && { cursor: from }) };
  return search === '' ? listLevel(folder, query, signal) : searchFiles(search, query, signal);
}

async function searchFiles(
  search: string,
  query: Record<string, string>,
  signal: AbortSignal,
): ReturnType<typeof listLevel> {
  return { folders: [], ...(await listFiles({ ...query, search }, signal)) };
}
