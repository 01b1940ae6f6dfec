/** The files as they are listed: pages of the catalog, kept up to date by what the service tells. */
import type { FileJson, FilePageJson, FileSortJson, FilesTotalJson } from '../../../server/wire/files.ts';
import { ApiError, listFiles } from './api.ts';
import { createTotal } from './total.ts';

export interface ListOrder {
  sort: FileSortJson;
  order: 'asc' | 'desc';
  search: string;
}

export interface CatalogEvents {
  /** Entries were loaded or removed, or the state has changed. */
  onChange(): void;
  onInserted(index: number): void;
  onRenewed(file: FileJson): void;
}

export interface CatalogList {
  readonly files: readonly FileJson[];
  readonly state: 'loading' | 'ready' | 'lost' | 'locked';
  /** Why the list is lost. */
  readonly problem: ApiError | null;
  readonly order: Readonly<ListOrder>;
  /** Of all files, without those that are taken off the list; null while it is not known. */
  readonly total: FilesTotalJson | null;
  /** Whether all that match are in `files`. */
  readonly isWhole: boolean;
  setOrder(order: Partial<ListOrder>): void;
  /** From the start, with at least as many entries as there are. */
  reload(): Promise<void>;
  /** The next page, if there is one. */
  more(): Promise<void>;
  put(file: FileJson): void;
  /** Takes it off the list; puts it back with the returned function. */
  take(id: string): () => void;
  /** The service no longer has it. */
  gone(id: string): void;
}

/** Soon there; those that follow come in larger portions. */
const FIRST_PAGE = 200;
/** The service's own limit. */
const MOST = 1_000;
const RETRY_MS = 3_000;

export function createCatalog(events: CatalogEvents): CatalogList {
  let files: FileJson[] = [];
  let cursor: string | null = null;
  let state: CatalogList['state'] = 'loading';
  let problem: ApiError | null = null;
  let order: ListOrder = { sort: 'uploaded', order: 'desc', search: '' };
  let running: AbortController | null = null;
  let timer: number | undefined;
  /** Taken off the list: an answer that is on its way may still tell of them. */
  const hidden = new Set<string>();
  /** Told of while an answer is on its way, which may be older. */
  let told: FileJson[] = [];
  const total = createTotal(() => events.onChange());

  /** Loads what follows on `from`, until so many more are there. */
  async function load(from: string | null, wanted: number): Promise<void> {
    running?.abort();
    clearTimeout(timer);
    const current = new AbortController();
    running = current;
    told = [];
    try {
      const loaded: FileJson[] = [];
      let next = from;
      do {
        const page = await listPage(next, Math.min(MOST, wanted - loaded.length), current.signal);
        if (running !== current) return;
        loaded.push(...page.files);
        total.set(page.total);
        next = page.nextCursor;
      } while (next !== null && loaded.length < wanted);
      const known = from === null ? [] : files;
      const ids = new Set(known.map((file) => file.id));
      files = [...known, ...loaded.filter((file) => !ids.has(file.id) && !hidden.has(file.id))];
      cursor = next;
      state = 'ready';
      for (const file of told) place(file);
    } catch (error) {
      if (running !== current) return;
      const locked = error instanceof ApiError && error.status === 401;
      state = locked ? 'locked' : 'lost';
      problem = error instanceof ApiError ? error : null;
      if (!locked) timer = window.setTimeout(() => void load(from, wanted), RETRY_MS);
    }
    running = null;
    events.onChange();
  }

  function listPage(from: string | null, limit: number, signal: AbortSignal): Promise<FilePageJson> {
    const { sort, order: direction, search } = order;
    const query = { limit: String(limit), sort, order: direction };
    return listFiles({ ...query, ...(search ? { search } : {}), ...(from === null ? {} : { cursor: from }) }, signal);
  }

  function reload(): Promise<void> {
    // Some more: what is new must not push out what is in sight.
    return load(null, files.length + FIRST_PAGE);
  }

  /** Puts it where it belongs, or in the place of what was known of it. */
  function place(file: FileJson): void {
    if (hidden.has(file.id)) return;
    const index = files.findIndex(({ id }) => id === file.id);
    if (index < 0) insert(file);
    else {
      files[index] = file;
      events.onRenewed(file);
    }
  }

  /** Where it belongs: as the service orders, newest or first letters first. */
  function compare(a: FileJson, b: FileJson): number {
    const by =
      order.sort === 'size'
        ? a.size - b.size
        : order.sort === 'name'
          ? Number(lower(a.name) > lower(b.name)) - Number(lower(a.name) < lower(b.name))
          : Date.parse(a.uploadedAt) - Date.parse(b.uploadedAt);
    return order.order === 'asc' ? by : -by;
  }

  function matches(file: FileJson): boolean {
    return lower(file.name).includes(lower(order.search));
  }

  function insert(file: FileJson): void {
    if (!matches(file)) return;
    const after = files.findIndex((other) => compare(file, other) <= 0);
    // Beyond what is loaded, it comes with its page.
    if (after < 0 && cursor !== null) return;
    const index = after < 0 ? files.length : after;
    files.splice(index, 0, file);
    events.onInserted(index);
  }

  function take(id: string): FileJson | undefined {
    hidden.add(id);
    const index = files.findIndex((file) => file.id === id);
    return index < 0 ? undefined : files.splice(index, 1)[0];
  }

  return {
    get files() {
      return files;
    },
    get state() {
      return state;
    },
    get problem() {
      return problem;
    },
    get order() {
      return order;
    },
    get total() {
      return total.value;
    },
    get isWhole() {
      return cursor === null;
    },
    setOrder: (changed) => {
      order = { ...order, ...changed };
      void load(null, FIRST_PAGE);
    },
    reload,
    more: async () => {
      if (cursor !== null && running === null && state === 'ready') await load(cursor, MOST);
    },
    put: (file) => {
      if (running) told.push(file);
      if (!files.some(({ id }) => id === file.id)) total.renew();
      if (state !== 'ready') return;
      place(file);
      events.onChange();
    },
    gone: (id) => {
      const taken = take(id);
      if (taken) total.withhold(taken);
      total.gone(id);
      events.onChange();
    },
    take: (id) => {
      const taken = take(id);
      if (taken) total.withhold(taken);
      if (taken) events.onChange();
      return () => {
        hidden.delete(id);
        total.giveBack(id);
        if (!taken || files.some((file) => file.id === id)) return;
        insert(taken);
        events.onChange();
      };
    },
  };
}

/** The service leaves the case of letters other than ASCII's as it is. */
function lower(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}
