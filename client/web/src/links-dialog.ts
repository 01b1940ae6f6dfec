/** Lists the links of the user, with their use, and revokes them. */
import type { LinkJson } from '../../../server/wire/links.ts';
import { listLinks, revokeLink } from './api.ts';
import { byId, make, setText, shownName } from './dom.ts';
import { formatCount, formatSize, formatWhen } from './format.ts';
import { onLanguage, texts } from './i18n.ts';
import { sentenceOfError } from './refusal.ts';

export function startLinksDialog(): void {
  const dialog = byId<HTMLDialogElement>('links');
  const list = byId<HTMLUListElement>('links-list');
  const more = byId<HTMLButtonElement>('links-more');
  let links: LinkJson[] = [];
  let cursor: string | null = null;
  /** Incremented when the list is loaded anew or closed: an answer for an earlier one is ignored. */
  let turn = 0;

  function say(words: string): void {
    setText(byId('links-note'), words);
  }

  async function load(): Promise<void> {
    const current = turn;
    if (links.length === 0) say(texts().loading);
    try {
      const page = await listLinks(cursor);
      if (current !== turn) return;
      links.push(...page.links);
      cursor = page.nextCursor;
      say(links.length === 0 ? texts().noLinks : '');
      show();
    } catch (error) {
      if (current === turn) say(sentenceOfError(error));
    }
  }

  async function revoke(link: LinkJson): Promise<void> {
    try {
      await revokeLink(link.id);
    } catch (error) {
      // One that is revoked already is not found.
      if ((error as { status?: number }).status !== 404) return say(sentenceOfError(error));
    }
    links = links.map((one) => (one.id === link.id ? { ...one, state: 'revoked' } : one));
    say(texts().linkRevoked(titleOf(link)));
    show();
    byId('links-close').focus();
  }

  function show(): void {
    list.replaceChildren(...links.map((link) => row(link, () => void revoke(link))));
    more.hidden = cursor === null;
  }

  onLanguage(show);
  byId('links-open').addEventListener('click', () => {
    [links, cursor] = [[], null];
    turn++;
    show();
    dialog.showModal();
    void load();
  });
  more.addEventListener('click', () => void load());
  byId('links-close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => turn++);
}

/** By what the user knows it. */
function titleOf(link: LinkJson): string {
  const t = texts();
  if (link.name !== null) return shownName(link.name);
  if (link.kind === 'upload') return shownName(link.folder);
  const { firstFile, files, firstFolder, folders } = link;
  if (firstFolder !== null)
    return folders > 1 ? t.andMore(shownName(firstFolder), formatCount(folders - 1)) : shownName(firstFolder);
  if (firstFile === null) return t.noFilesLeft;
  return files > 1 ? t.andMore(shownName(firstFile), formatCount(files - 1)) : shownName(firstFile);
}

/** How often it was used. */
function useOf(link: LinkJson): string {
  const t = texts();
  if (link.kind === 'upload') {
    const { files, bytes } = link;
    return t.sentByLink(formatCount(files), formatSize(bytes), files === 1);
  }
  const { downloads, mostDownloads } = link;
  return mostDownloads === null
    ? t.downloadCount(formatCount(downloads), downloads === 1)
    : t.downloadsOf(formatCount(downloads), formatCount(mostDownloads));
}

function row(link: LinkJson, revoke: () => void): HTMLLIElement {
  const t = texts();
  const { state, expiresAt, lastUsedAt, hasPassword } = link;
  const facts = [
    t.linkStates[state],
    useOf(link),
    expiresAt === null ? t.neverExpires : t.until(formatWhen(expiresAt).whole),
    ...(hasPassword ? [t.hasPassword] : []),
    ...(lastUsedAt === null ? [] : [t.lastUsed(formatWhen(lastUsedAt).whole)]),
  ];
  const title = titleOf(link);
  const button = make('button', { type: 'button', className: 'plain', ariaLabel: t.ofFile(t.revoke, title) }, t.revoke);
  button.addEventListener('click', revoke);
  return make(
    'li',
    { className: `link ${state}` },
    make('div', {}, make('bdi', { dir: 'auto' }, title), make('p', { className: 'hint' }, facts.join(' · '))),
    ...(state === 'revoked' ? [] : [button]),
  );
}
