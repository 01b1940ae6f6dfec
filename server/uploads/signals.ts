/**
 * One signal for several reasons to stop. AbortSignal.any does the same, but long-lived sources keep its results until
 * they are garbage-collected; `unlink` removes the listeners as soon as the work is done.
 */
export interface LinkedSignal {
  readonly signal: AbortSignal;
  /** Removes the listeners from the sources. To be called when the work is done. */
  readonly unlink: () => void;
}

/** A signal that is aborted with the reason of the first source that is aborted. */
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
