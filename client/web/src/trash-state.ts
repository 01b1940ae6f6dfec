/** Whether the service keeps deleted files for a while; until it has said so, the page takes it that it does not. */
import { onAccepted } from './access.ts';
import { listTrash } from './trash-api.ts';

let keptSeconds = 0;
const listeners = new Set<() => void>();

/** How long it keeps them; 0: it does not. */
export function trashKeptSeconds(): number {
  return keptSeconds;
}

/** Registers a listener, which is called when that has changed. */
export function onTrashKept(listener: () => void): void {
  listeners.add(listener);
}

/**
 * Asks the service, and again with each token. A service of an older version has no trash.
 *
 * @returns a function that asks again: the service may have been restarted, or has not answered.
 */
export function startTrashState(): () => void {
  const ask = async (): Promise<void> => {
    const now = await listTrash(null, 1).then(
      (page) => page.keptSeconds,
      () => keptSeconds,
    );
    if (now === keptSeconds) return;
    keptSeconds = now;
    for (const listener of listeners) listener();
  };
  void ask();
  onAccepted(() => void ask());
  return () => void ask();
}
