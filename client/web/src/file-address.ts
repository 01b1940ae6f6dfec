/** Addresses from which the browser itself can fetch a file, to show or to save it. */
import { hasToken, letBrowserFetch } from './access.ts';
import { request } from './api.ts';
import { ownUrl } from './base.ts';
import { isSiteDataBlocked } from './storage.ts';

/** What the bytes of a file are for. */
type Use = 'show' | 'save';

/** The latest blob address of each use; the one before it is revoked. */
const kept = new Map<Use, string>();

/** Whether the page has to fetch files itself: a file behind a token needs a cookie, and this browser refuses cookies. */
export function mustFetchFiles(): boolean {
  return hasToken() && isSiteDataBlocked();
}

/**
 * The address from which the browser can fetch a file, after the page has got permission for it. Where the page has to fetch
 * the file itself, a blob address. See docs/decisions/0013-files-behind-a-token-in-the-page.md.
 */
export async function addressOf({ url }: { url: string }, use: Use): Promise<string> {
  const address = `${ownUrl(url)}${use === 'save' ? '?download' : ''}`;
  if (!mustFetchFiles()) {
    await letBrowserFetch().catch(() => undefined);
    return address;
  }
  try {
    // A signal that is never aborted, in place of the time limit: a file may take long.
    const { signal } = new AbortController();
    const blob = await (await request(address, { signal })).blob();
    URL.revokeObjectURL(kept.get(use) ?? '');
    const made = URL.createObjectURL(blob);
    kept.set(use, made);
    return made;
  } catch {
    return address;
  }
}
