/** The page's settings in the browser's storage. Where the browser blocks site data, the page works without them. */

type Area = 'localStorage' | 'sessionStorage';

/** The storage area; null where the browser denies it, which throws. */
function areaOf(kind: Area): Storage | null {
  try {
    return window[kind];
  } catch {
    return null;
  }
}

/** Whether the browser keeps nothing of this site: no storage, and no cookies. */
export function isSiteDataBlocked(): boolean {
  return areaOf('sessionStorage') === null;
}

export function recall(kind: Area, key: string): string | null {
  return areaOf(kind)?.getItem(key) ?? null;
}

/** Stores a value; does nothing where there is no room or no storage. */
export function keep(kind: Area, key: string, value: string): void {
  try {
    areaOf(kind)?.setItem(key, value);
  } catch {
    return;
  }
}

export function discard(kind: Area, key: string): void {
  areaOf(kind)?.removeItem(key);
}
