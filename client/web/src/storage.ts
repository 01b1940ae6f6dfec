/** What the browser keeps of the page's settings. Where site data is blocked it keeps nothing: the page works, and forgets. */

type Area = 'localStorage' | 'sessionStorage';

/** null where the browser does not let the page have it: asking for it throws. */
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

/** Without effect where there is no room for it, or no storage. */
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
