/** A look at a file without saving it: the browser fetches what it shows, in ranges. */
import type { FileJson } from './api.ts';
import { ownUrl } from './base.ts';
import { addressOf, mustFetchFiles } from './file-address.ts';
import { byId, make, setText, shownName } from './dom.ts';
import { texts } from './i18n.ts';

type Kind = 'image' | 'audio' | 'video' | 'pdf';

/** What the page can show; SVG and the like are saved, as they can hold script. */
export function previewKind({ type }: FileJson): Kind | null {
  const essence = (type ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (essence === 'application/pdf') return 'pdf';
  if (essence === 'image/svg+xml') return null;
  const family = essence.split('/')[0];
  return family === 'image' || family === 'audio' || family === 'video' ? family : null;
}

/** Fetched by the browser itself, once it may. */
export async function download(file: FileJson): Promise<void> {
  const link = make('a', { href: await addressOf(file, 'save'), download: file.name });
  document.body.append(link);
  link.click();
  link.remove();
}

export async function openPreview(file: FileJson): Promise<void> {
  const kind = previewKind(file);
  // The browser's own viewer shows no PDF that the page has fetched.
  if (kind === null || (kind === 'pdf' && mustFetchFiles())) {
    await download(file);
    return;
  }
  const src = await addressOf(file, 'show');
  const dialog = byId<HTMLDialogElement>('preview');
  const body = byId('preview-body');
  const name = shownName(file.name);
  setText(byId('preview-title'), name);
  const link = byId<HTMLAnchorElement>('preview-download');
  link.href = mustFetchFiles() ? src : `${ownUrl(file.url)}?download`;
  link.download = file.name;
  const shown = makeShown(kind, src, name);
  shown.addEventListener('error', () => body.replaceChildren(make('p', { className: 'note' }, texts().previewFailed)));
  body.replaceChildren(shown);
  dialog.showModal();
}

function makeShown(kind: Kind, src: string, name: string): HTMLElement {
  switch (kind) {
    case 'image':
      return make('img', { src, alt: name });
    case 'audio':
      return make('audio', { src, controls: true, preload: 'metadata', ariaLabel: name });
    case 'video':
      return make('video', { src, controls: true, preload: 'metadata', ariaLabel: name });
    case 'pdf':
      return make('iframe', { src, title: name });
  }
}

export function startPreview(): void {
  const dialog = byId<HTMLDialogElement>('preview');
  byId('preview-close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
  // What plays, stops, and is fetched no further.
  dialog.addEventListener('close', () => byId('preview-body').replaceChildren());
}
