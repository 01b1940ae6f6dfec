/** Reads the folders of the open one again: events are about files, and a folder shows how many are below it. */
import type { FolderJson } from '../../../server/wire/files.ts';
import type { Listing } from '../../core/listing.ts';
import { listLevel } from './api-folders.ts';
import { MOST } from './pages.ts';

export interface FolderRenewal {
  /** Reads them soon: many files may come or go at once, and one request serves for all. */
  soon(): void;
}

/** The least wait before the service is asked. */
const RENEW_MS = 500;
/** The wait is so many times as long as the last answer took: many folders are not read all the time. */
const TIMES_AS_LONG = 5;
/** So many more than there were are asked for in one request. */
const SOME_MORE = 20;

export function createFolderRenewal(parts: {
  listing: Listing;
  isLoading: () => boolean;
  /** Loads the list again, with as many entries as it has. */
  reload: () => Promise<void>;
  onInserted: (index: number) => void;
  onChange: () => void;
}): FolderRenewal {
  const { listing } = parts;
  let timer: number | undefined;
  let tookMs = 0;

  function soon(): void {
    timer ??= window.setTimeout(() => void renew(), Math.max(RENEW_MS, tookMs * TIMES_AS_LONG));
  }

  async function renew(): Promise<void> {
    timer = undefined;
    const { folder, search } = listing.order;
    if (search !== '') return;
    // The page that is loading may be older than the event.
    if (parts.isLoading()) return soon();
    const begun = performance.now();
    // Which of them are loaded is known only by the cursor.
    if (!listing.hasAllFolders) {
      await parts.reload();
      tookMs = performance.now() - begun;
      return;
    }
    // After a failure, the next change or the next list brings them.
    const folders = await readFolders(listing).catch(() => null);
    tookMs = performance.now() - begun;
    if (folders === null || listing.order.folder !== folder || listing.order.search !== '' || parts.isLoading()) return;
    const known = new Set(listing.folders.map(({ name }) => name));
    if (!listing.setFolders(folders)) return;
    listing.folders.forEach(({ name }, index) => {
      if (!known.has(name)) parts.onInserted(index);
    });
    parts.onChange();
  }

  return { soon };
}

async function readFolders({ order, folders: known }: Listing): Promise<FolderJson[]> {
  const folders: FolderJson[] = [];
  let cursor: string | null = null;
  do {
    const limit = Math.min(MOST, Math.max(SOME_MORE, known.length + SOME_MORE - folders.length));
    const query = { sort: order.sort, order: order.order, limit: String(limit), ...(cursor && { cursor }) };
    const page: Awaited<ReturnType<typeof listLevel>> = await listLevel(order.folder, query);
    folders.push(...page.folders);
    cursor = page.files.length > 0 ? null : page.nextCursor;
  } while (cursor !== null);
  return folders;
}
