/** Addresses of files that the browser can fetch by itself, to show and to save them. */
import { hasToken, letBrowserFetch } from './access.ts';
import { request } from './api.ts';
import { ownUrl } from './base.ts';
import { isSiteDataBlocked } from './storage.ts';

/** What a file's bytes are wanted for: one at a time of each is kept. */
type Use = 'show' | 'save';

const kept = new Map<Use, string>();

/** Whether the page has to fetch files itself: a file behind a token needs a cookie, which the browser refuses. */
export function mustFetchFiles(): boolean {
  return hasToken() && isSiteDataBlocked();
}

/** Where the browser finds a file, once it may; see docs/decisions/0013-files-behind-a-token-in-the-page.md. */
export async function addressOf({ url }: { url: string }, use: Use): Promise<string> {
  const address = `${ownUrl(url)}${use === 'save' ? '?download' : ''}`;
  if (!mustFetchFiles()) {
    await letBrowserFetch().catch(() => undefined);
    return address;
  }
  try {
    // As long as the file takes.
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
