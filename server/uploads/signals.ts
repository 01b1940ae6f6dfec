/**
 * One signal for several reasons to stop. AbortSignal.any does the same, but its
 * results hang on to long-lived sources until they are collected; these are let go
 * of when the work is done.
 */
export interface LinkedSignal {
  readonly signal: AbortSignal;
  /** Lets go of the sources. */
  unlink(): void;
}

export function linkSignals(...sources: AbortSignal[]): LinkedSignal {
  const controller = new AbortController();

  function unlink(): void {
    for (const source of sources) source.removeEventListener('abort', onAbort);
  }

  function onAbort(this: AbortSignal): void {
    unlink();
    controller.abort(this.reason);
  }

  for (const source of sources) {
    if (source.aborted) {
      unlink();
      controller.abort(source.reason);
      break;
    }
    source.addEventListener('abort', onAbort);
  }
  return { signal: controller.signal, unlink };
}
