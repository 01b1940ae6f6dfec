/** Downloads several files and folders as one ZIP file: the browser itself saves it, as it may be larger than memory. */
import { lastPart } from '../../../server/wire/paths.ts';
import type { Entry } from '../../core/listing.ts';
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
/**
 * Up to so many ids and paths, of so many characters, make an address that every proxy lets through: many take 8 KiB with all headers.
 * Browsers resume downloads from addresses, not those of forms.
 */
const MOST_IN_ADDRESS = 50;
const MOST_ADDRESS_CHARACTERS = 4_000;
const PATH = 'api/archive';
/** The frame that the answer goes to: a refusal must not replace the page. */
const FRAME = 'archive-frame';

/** What an archive has. */
export interface ArchiveContent {
  /** Of files. */
  ids: readonly string[];
  /** Paths. */
  folders: readonly string[];
  /** The folder from which paths in the archive are counted. */
  within: string;
}

/** @param within - the path of the folder that is open. */
export function archiveOf(entries: readonly Entry[], within: string): ArchiveContent {
  return {
    ids: entries.flatMap((entry) => (entry.kind === 'file' ? [entry.file.id] : [])),
    folders: entries.flatMap((entry) => (entry.kind === 'folder' ? [entry.folder.name] : [])),
    within,
  };
}

/** Has the browser save an archive of these files and folders. One folder alone gives the archive its name. */
export async function downloadArchive(content: ArchiveContent): Promise<void> {
  const { ids, folders } = content;
  const [folder] = folders;
  const isFolder = folder !== undefined && folders.length === 1 && ids.length === 0;
  const name = isFolder ? `${lastPart(folder)}.zip` : `Tidemark ${new Date().toLocaleDateString('sv')}.zip`;
  try {
    if (mustFetchFiles()) await saveFetched(content, name);
    else {
      await letBrowserFetch().catch(() => undefined);
      submit(content, name);
    }
  } catch (error) {
    tell(error);
  }
}

function tell(error: unknown): void {
  notify(texts().archiveFailed(sentenceOfError(error)));
}

/** Sends a form to a frame that nobody sees. Where the answer is a file, the browser saves it, and the frame stays as it was. */
function submit({ ids, folders, within }: ArchiveContent, name: string): void {
  const fields = [
    ['name', name],
    ...(within === '' ? [] : [['within', within]]),
    ...folders.map((folder) => ['folder', folder]),
    ...ids.map((id) => ['id', id]),
  ];
  const isLong =
    ids.length + folders.length > MOST_IN_ADDRESS ||
    new URLSearchParams(fields).toString().length > MOST_ADDRESS_CHARACTERS;
  const form = make('form', {
    method: isLong ? 'post' : 'get',
    action: serviceUrl(PATH),
    target: frame().name,
    hidden: true,
  });
  form.append(...fields.map(([key = '', value = '']) => make('input', { type: 'hidden', name: key, value })));
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
async function saveFetched({ ids, folders, within }: ArchiveContent, name: string): Promise<void> {
  const answer = await request(PATH, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ id: ids, folder: folders, ...(within === '' ? {} : { within }), name }),
    // A signal that is never aborted, in place of the time limit: an archive may take long.
    signal: new AbortController().signal,
  });
  const href = URL.createObjectURL(await answer.blob());
  const link = make('a', { href, download: name });
  link.click();
  // Once the browser has begun to read it.
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
