/** Downloads several files as one ZIP file: the browser itself saves it, as it may be larger than memory. */
import { letBrowserFetch } from './access.ts';
import { refusalOf, request } from './api.ts';
import { serviceUrl } from './base.ts';
import { make } from './dom.ts';
import { mustFetchFiles } from './file-address.ts';
import { texts } from './i18n.ts';
import { notify } from './notices.ts';
import { sentenceOfError } from './refusal.ts';

/** The most files of an archive, at the service. */
export const MOST_ARCHIVED = 100_000;
/** Up to so many ids make an address that every proxy lets through. Browsers resume downloads from addresses, not those of forms. */
const MOST_IN_ADDRESS = 50;
const PATH = 'api/archive';
/** The frame that the answer goes to: a refusal must not replace the page. */
const FRAME = 'archive-frame';

/** Has the browser save an archive of these files. */
export async function downloadArchive(ids: readonly string[]): Promise<void> {
  const name = `Tidemark ${new Date().toLocaleDateString('sv')}.zip`;
  try {
    if (mustFetchFiles()) await saveFetched(ids, name);
    else {
      await letBrowserFetch().catch(() => undefined);
      submit(ids, name);
    }
  } catch (error) {
    tell(error);
  }
}

function tell(error: unknown): void {
  notify(texts().archiveFailed(sentenceOfError(error)));
}

/** Sends a form to a frame that nobody sees. Where the answer is a file, the browser saves it, and the frame stays as it was. */
function submit(ids: readonly string[], name: string): void {
  const form = make('form', {
    method: ids.length > MOST_IN_ADDRESS ? 'post' : 'get',
    action: serviceUrl(PATH),
    target: frame().name,
    hidden: true,
  });
  const field = (key: string, value: string): HTMLInputElement => make('input', { type: 'hidden', name: key, value });
  form.append(field('name', name), ...ids.map((id) => field('id', id)));
  document.body.append(form);
  form.submit();
  form.remove();
}

function frame(): HTMLIFrameElement {
  const known = document.querySelector<HTMLIFrameElement>(`iframe[name="${FRAME}"]`);
  if (known) return known;
  const made = make('iframe', { name: FRAME, hidden: true, title: FRAME });
  document.body.append(made);
  // Only a document is shown there, and the only documents are refusals. The first, empty one is loaded by now.
  made.addEventListener('load', () => {
    const text = made.contentDocument?.body?.textContent ?? '';
    if (text !== '') tell(refusalOf(0, text, null));
  });
  return made;
}

/** Where the browser takes no cookie, the page fetches the archive itself. */
async function saveFetched(ids: readonly string[], name: string): Promise<void> {
  const answer = await request(PATH, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ id: ids, name }),
    // A signal that is never aborted, in place of the time limit: an archive may take long.
    signal: new AbortController().signal,
  });
  const href = URL.createObjectURL(await answer.blob());
  const link = make('a', { href, download: name });
  link.click();
  // Once the browser has begun to read it.
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
