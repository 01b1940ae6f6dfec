/** Pages of the catalog, loaded one after the other: what is asked for later takes the place of what is on its way. */
import type { FileJson, FilePageJson } from '../../../server/wire/files.ts';
import { ApiError } from './api.ts';

export interface Pages {
  readonly state: 'loading' | 'ready' | 'lost' | 'locked';
  /** Why they are lost. */
  readonly problem: ApiError | null;
  readonly isLoading: boolean;
  /** Loads what follows on a cursor, until so many files are there; it is tried again where they cannot be had. */
  load(from: string | null, wanted: number): Promise<void>;
}

export interface PagesParts {
  ask(from: string | null, limit: number, signal: AbortSignal): Promise<FilePageJson>;
  onBegin(): void;
  onPage(page: FilePageJson): void;
  /** @param next - where those begin that follow; null where these are the last. */
  onLoaded(from: string | null, files: readonly FileJson[], next: string | null): void;
  /** It has come to an end, whichever. */
  onEnd(): void;
}

/** The service's own limit. */
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
    parts.onBegin();
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
