/** Loads pages of the catalog, one after the other. A new request aborts the one before it. */
import type { FileJson, FolderJson } from '../../../server/wire/files.ts';
import type { ListedPage } from '../../core/listing.ts';
import { ApiError } from './api.ts';

export interface Pages {
  /** `lost`: loading has failed and is retried. `locked`: the service asks for a token. */
  readonly state: 'loading' | 'ready' | 'lost' | 'locked';
  /** Why the latest failed attempt failed. */
  readonly problem: ApiError | null;
  readonly isLoading: boolean;
  /** Loads at least `wanted` entries from a cursor on (null: from the start), as far as there are so many. Retries failures. */
  load(from: string | null, wanted: number): Promise<void>;
}

export interface PagesParts<Page extends ListedPage & { nextCursor: string | null }> {
  ask(from: string | null, limit: number, signal: AbortSignal): Promise<Page>;
  onBegin(from: string | null): void;
  onPage(page: Page): void;
  /** @param next - the cursor of the entries that follow; null where these are the last. */
  onLoaded(from: string | null, loaded: ListedPage, next: string | null): void;
  /** Called once loading has succeeded or failed, but not where a later request took its place. */
  onEnd(): void;
}

/** The most entries that the service lists in one answer. */
export const MOST = 1_000;
const RETRY_MS = 3_000;

export function createPages<Page extends ListedPage & { nextCursor: string | null }>(parts: PagesParts<Page>): Pages {
  let state: Pages['state'] = 'loading';
  let problem: ApiError | null = null;
  let running: AbortController | null = null;
  let timer: number | undefined;

  async function load(from: string | null, wanted: number): Promise<void> {
    running?.abort();
    clearTimeout(timer);
    const current = new AbortController();
    running = current;
    parts.onBegin(from);
    try {
      const [folders, files]: [FolderJson[], FileJson[]] = [[], []];
      let next = from;
      do {
        const left = wanted - folders.length - files.length;
        const page = await parts.ask(next, Math.min(MOST, left), current.signal);
        if (running !== current) return;
        parts.onPage(page);
        folders.push(...(page.folders ?? []));
        files.push(...page.files);
        next = page.nextCursor;
      } while (next !== null && folders.length + files.length < wanted);
      state = 'ready';
      parts.onLoaded(from, { folders, files }, next);
    } catch (error) {
      if (running !== current) return;
      problem = error instanceof ApiError ? error : null;
      state = problem?.status === 401 ? 'locked' : 'lost';
      if (state === 'lost') timer = window.setTimeout(() => void load(from, wanted), RETRY_MS);
    }
    running = null;
    parts.onEnd();
  }

  return {
    get state() {
      return state;
    },
    get problem() {
      return problem;
    },
    get isLoading() {
      return running !== null;
    },
    load,
  };
}
