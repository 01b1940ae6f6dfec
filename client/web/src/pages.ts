/** Loads pages of the catalog, one after the other. A new request aborts the one before it. */
import type { FileJson, FilePageJson } from '../../../server/wire/files.ts';
import { ApiError } from './api.ts';

export interface Pages {
  /** `lost`: loading has failed and is retried. `locked`: the service asks for a token. */
  readonly state: 'loading' | 'ready' | 'lost' | 'locked';
  /** Why the latest failed attempt failed. */
  readonly problem: ApiError | null;
  readonly isLoading: boolean;
  /** Loads at least `wanted` files from a cursor on (null: from the start), as far as there are so many. Retries failures. */
  load(from: string | null, wanted: number): Promise<void>;
}

export interface PagesParts {
  ask(from: string | null, limit: number, signal: AbortSignal): Promise<FilePageJson>;
  onBegin(from: string | null): void;
  onPage(page: FilePageJson): void;
  /** @param next - the cursor of the files that follow; null where these are the last. */
  onLoaded(from: string | null, files: readonly FileJson[], next: string | null): void;
  /** Called once loading has succeeded or failed, but not where a later request took its place. */
  onEnd(): void;
}

/** The most files that the service lists in one answer. */
export const MOST = 1_000;
const RETRY_MS = 3_000;

export function createPages(parts: PagesParts): Pages {
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
      const loaded: FileJson[] = [];
      let next = from;
      do {
        const page = await parts.ask(next, Math.min(MOST, wanted - loaded.length), current.signal);
        if (running !== current) return;
        parts.onPage(page);
        loaded.push(...page.files);
        next = page.nextCursor;
      } while (next !== null && loaded.length < wanted);
      state = 'ready';
      parts.onLoaded(from, loaded, next);
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
