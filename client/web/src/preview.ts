/** Previews of files: the browser itself fetches what it shows, in ranges. */
import type { FileJson } from '../../../server/wire/files.ts';
import { lastPart } from '../../../server/wire/paths.ts';
import { isText, type PreviewKind, previewKind } from '../../../server/wire/previews.ts';
import { ownUrl } from './base.ts';
import { addressOf, mustFetchFiles } from './file-address.ts';
import { byId, make, setText, shownName } from './dom.ts';
import { senderWords } from './file-row.ts';
import { texts } from './i18n.ts';
import { showName } from './long-name.ts';
import { sentenceOfError } from './refusal.ts';
import { showText } from './text-preview.ts';

/** Saves a file: the browser downloads it, after the page has got permission for it. */
export async function download(file: FileJson): Promise<void> {
  const link = make('a', { href: await addressOf(file, 'save'), download: lastPart(file.name) });
  document.body.append(link);
  link.click();
  link.remove();
}

/** The previewed file, where its download link has no address: the page itself has to fetch it. */
let notFetched: FileJson | null = null;
/** Incremented when a preview opens or closes: an answer for an earlier one is ignored. */
let turn = 0;

export async function openPreview(file: FileJson): Promise<void> {
  const kind = previewKind(file);
  // The browser's viewer does not show a PDF that the page has fetched itself: save it instead.
  if (kind === null || (kind === 'pdf' && mustFetchFiles())) {
    await download(file);
    return;
  }
  const current = ++turn;
  const isFetchedHere = mustFetchFiles();
  // Of a text, showText fetches the beginning.
  const src = kind === 'text' && isFetchedHere ? '' : await addressOf(file, 'show');
  if (current !== turn) return;
  showName(byId('preview-title'), lastPart(file.name));
  byId('preview-from').hidden = file.sentBy === undefined;
  setText(byId('preview-from'), file.sentBy ? senderWords(file.sentBy) : '');
  const link = byId<HTMLAnchorElement>('preview-download');
  link.href = isFetchedHere ? src : `${ownUrl(file.url)}?download`;
  link.download = lastPart(file.name);
  notFetched = src === '' ? file : null;
  const name = shownName(lastPart(file.name));
  if (kind === 'text') void showAsText(file, name, current);
  else {
    const shown = makeShown(kind, src, name);
    shown.addEventListener('error', () => {
      if (current !== turn) return;
      // The type of `.ts` says video, but the file is more often TypeScript.
      if (isText(file)) void showAsText(file, name, current);
      else say(texts().previewFailed);
    });
    byId('preview-body').replaceChildren(shown);
  }
  byId<HTMLDialogElement>('preview').showModal();
}

async function showAsText(file: FileJson, name: string, current: number): Promise<void> {
  say(texts().loading);
  const shown = await showText(file, name).catch((error: unknown) => sentenceOfError(error));
  if (current !== turn) return;
  if (shown === null) say(texts().previewFailed);
  else if (typeof shown === 'string') say(shown);
  else byId('preview-body').replaceChildren(shown);
}

function say(words: string): void {
  byId('preview-body').replaceChildren(make('p', { className: 'note', role: 'status' }, words));
}

function makeShown(kind: Exclude<PreviewKind, 'text'>, src: string, name: string): HTMLElement {
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
  byId('preview-download').addEventListener('click', (event) => {
    if (notFetched === null) return;
    event.preventDefault();
    void download(notFetched);
  });
  byId('preview-close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
  // Removing the element stops a playing one, and its download.
  dialog.addEventListener('close', () => {
    turn++;
    byId('preview-body').replaceChildren();
  });
}
