/** The pages of links. They need no script: every download is a plain link, and previews are the browser's own. */
import { randomBytes } from 'node:crypto';
import { previewKind } from '../wire/previews.ts';
import type { InFolder } from '../links/contract.ts';
import { MOST_ARCHIVED } from '../uploads/contract.ts';
import type { RequestedJson, SharedFileJson, SharedFolderJson, SharedJson, SharedLevelJson } from '../wire/links.ts';
import { lastPart } from '../wire/paths.ts';
import { OF_THE_FILE } from './errors.ts';
import { html, type Html, join } from './html.ts';
import { toRefusal } from './refusals.ts';
import { pathOfLink } from './shared-cookies.ts';
import { encodePath } from './shared-paths.ts';
import { SHARED_STYLE } from './shared-style.ts';
import { type SharedTexts, textsFor } from './shared-texts.ts';
import type { Ctx } from './state.ts';

export interface SharedPages {
  sendLink(ctx: Ctx, shared: SharedJson): void;
  /** One level of a folder of a link. */
  sendLevel(ctx: Ctx, level: SharedLevelJson, at: InFolder): void;
  /** The page of an upload link. */
  sendRequest(ctx: Ctx, requested: RequestedJson): void;
  /** A refusal, as the page that is right for it: where a password is asked for, the form for it. */
  sendRefusal(ctx: Ctx, error: unknown): void;
}

/** Whether a browser asks: programs do not name HTML. */
export function wantsPage(ctx: Ctx): boolean {
  return /\btext\/html\b/i.test(ctx.get('Accept'));
}

/** @param filesOrigin - from where previews come, if not from the service itself. */
export function createSharedPages(filesOrigin: string | null): SharedPages {
  const shown = filesOrigin === null ? "'self'" : `'self' ${filesOrigin}`;

  return {
    sendLink(ctx, shared) {
      const { text, language, isChosen } = textsFor(ctx);
      const [folder] = shared.folders;
      const isOne = shared.files.length + shared.folders.length === 1;
      const title = shared.name ?? (isOne ? (folder?.name ?? text.oneFile) : text.someFiles);
      sendPage(ctx, shown, { title, text, body: linkBody(ctx, shared, { title, text, language, isChosen }) });
    },

    sendLevel(ctx, level, at) {
      const { text, language, isChosen } = textsFor(ctx);
      const query = isChosen ? `?lang=${language}` : '';
      const title = lastPart(level.name);
      sendPage(ctx, shown, { title, text, body: levelBody(ctx, level, { title, text, language, at, query }) });
    },

    sendRequest(ctx, requested) {
      const { text, language } = textsFor(ctx);
      const title = requested.name ?? text.sendFiles;
      sendPage(ctx, shown, { title, text, body: requestBody(requested, { title, text, language }) });
    },

    sendRefusal(ctx, error) {
      const { text, language, isChosen } = textsFor(ctx);
      const refused = toRefusal(error);
      ctx.state.failure = refused;
      ctx.status = refused.status;
      for (const name of OF_THE_FILE) ctx.remove(name);
      ctx.set(refused.headers);
      const sentence = text.refusals[refused.code as keyof SharedTexts['refusals']] ?? text.refusals.other;
      const isWrong = refused.code === 'wrong_password';
      if (isWrong || refused.code === 'password_required') {
        const action = pathOfForm(ctx) + (isChosen ? `?lang=${language}` : '');
        const body = passwordBody(text, action, isWrong ? sentence : null);
        sendPage(ctx, shown, { title: text.protected, text, body });
        return;
      }
      const body = refusalBody(text, sentence, Number(refused.headers['Retry-After'] ?? 0));
      sendPage(ctx, shown, { title: text.sorry, text, body });
    },
  };
}

/** @param shown - the sources of previews. */
function sendPage(ctx: Ctx, shown: string, page: { title: string; text: SharedTexts; body: Html }): void {
  const { title, text, body } = page;
  const nonce = randomBytes(16).toString('base64');
  ctx.set({
    'Content-Security-Policy': [
      "default-src 'none'",
      `style-src 'nonce-${nonce}'`,
      `img-src ${shown}`,
      `media-src ${shown}`,
      `frame-src ${shown}`,
      "form-action 'self'",
      "base-uri 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cache-Control': 'no-store',
    'Content-Type': 'text/html; charset=utf-8',
  });
  ctx.body = html`<!doctype html>
    <html lang="${text.tag}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex, nofollow" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} – Tidemark</title>
        <style nonce="${nonce}">
          ${SHARED_STYLE}
        </style>
      </head>
      <body>
        <header>
          <p class="mark">Tidemark</p>
          <a href="?lang=${text.otherLanguage}" lang="${text.otherTag}" hreflang="${text.otherTag}">${text.other}</a>
        </header>
        <main>${body}</main>
      </body>
    </html> `.toString();
}

function refusalBody(text: SharedTexts, sentence: string, waitSeconds: number): Html {
  const more = waitSeconds > 0 ? html`<p>${text.wait(Math.ceil(waitSeconds / 60))}</p>` : html``;
  return html`<h1>${text.sorry}</h1>
    <p>${sentence}</p>
    ${more}`;
}

function pathOfForm(ctx: Ctx): string {
  return new URL(ctx.state.baseUrl).pathname.replace(/\/$/, '') + pathOfLink(ctx);
}

function passwordBody(text: SharedTexts, action: string, wrong: string | null): Html {
  const state = wrong === null ? html`` : html` aria-invalid="true"`;
  const complaint = wrong === null ? html`` : html`<p class="wrong" role="alert">${wrong}</p> `;
  return html`<h1>${text.protected}</h1>
    <form method="post" action="${action}">
      <label for="password">${text.password}</label>
      <p id="who" class="soft">${text.askPassword}</p>
      ${complaint}
      <p class="row">
        <input
          id="password"
          name="password"
          type="password"
          required
          autofocus
          autocomplete="off"
          aria-describedby="who"
          ${state}
        />
        <button type="submit">${text.open}</button>
      </p>
    </form>`;
}

interface Words {
  title: string;
  text: SharedTexts;
  language: 'en' | 'zh';
}

function linkBody(
  ctx: Ctx,
  shared: SharedJson,
  { title, text, language, isChosen }: Words & { isChosen: boolean },
): Html {
  const { files, folders, size, downloadsLeft } = shared;
  const here = pathOfForm(ctx);
  const count = folders.reduce((sum, folder) => sum + folder.files, files.length);
  const hasMany = count > 1 || folders.length > 0;
  const facts = [
    hasMany ? text.total(numberOf(count, language), sizeOf(size, language), count === 1) : null,
    ...conditionsOf(shared, text, language),
  ].filter((fact) => fact !== null);
  const all =
    hasMany && count <= MOST_ARCHIVED
      ? html`<p><a class="button main" href="${here}/archive">${text.all}</a></p> `
      : html``;
  const query = isChosen ? `?lang=${language}` : '';
  // What a preview shows are the file's bytes: where downloads are limited, looking would be one.
  const rows = [
    ...folders.map((folder) => folderRow(folder, `${here}/folders/${folder.position}${query}`, { text, language })),
    ...files.map((file) =>
      fileRow(file, `${here}/files/${file.position}`, { text, language, hasPreview: downloadsLeft === null }),
    ),
  ];
  return html`<h1 dir="auto">${title}</h1>
    <p class="soft">${facts.join(' ')}</p>
    ${all}
    <ul class="files">
      ${join(rows)}
    </ul>`;
}

function conditionsOf(
  { expiresAt, downloadsLeft }: Pick<SharedJson, 'expiresAt' | 'downloadsLeft'>,
  text: SharedTexts,
  language: string,
): (string | null)[] {
  return [
    expiresAt === null ? null : text.expires(timeOf(expiresAt, language)),
    downloadsLeft === null ? null : text.left(downloadsLeft),
  ];
}

/** What an upload link takes. */
function requestBody(requested: RequestedJson, { title, text, language }: Words): Html {
  const { expiresAt, bytesLeft, filesLeft, maxFileBytes, types, uploadUrl } = requested;
  const address = uploadUrl.replace(/\/uploads$/, '');
  const facts = [
    expiresAt === null ? null : text.expires(timeOf(expiresAt, language)),
    filesLeft === null ? null : text.filesLeft(filesLeft),
    bytesLeft === null ? null : text.bytesLeft(sizeOf(bytesLeft, language)),
    maxFileBytes === null ? null : text.mostOfOne(sizeOf(maxFileBytes, language)),
    types === null ? null : text.types(types.join(', ')),
  ].filter((fact) => fact !== null);
  return html`<h1 dir="auto">${title}</h1>
    <p class="soft">${facts.join(' ')}</p>
    <p>${text.sendBy}</p>
    <p><code>tidemark upload --to ${address} …</code></p>`;
}

/** @param query - keeps the language that was chosen. */
function levelBody(
  ctx: Ctx,
  level: SharedLevelJson,
  { title, text, language, at, query }: Words & { at: InFolder; query: string },
): Html {
  const base = pathOfForm(ctx);
  const { folders, files, downloadsLeft, nextUrl } = level;
  const parts = level.name.split('/');
  const way = parts.slice(0, -1).map((name, depth) => {
    const path = parts
      .slice(1, depth + 1)
      .map(encodeURIComponent)
      .join('/');
    const address = `${base}/folders/${at.position}${path === '' ? '' : `/${path}`}${query}`;
    return html`<li><a href="${address}" dir="auto">${name}</a></li> `;
  });
  const pathTo = (name: string): string => encodePath(name.slice(name.indexOf('/') + 1));
  const rows = [
    ...folders.map((folder) =>
      folderRow(
        { ...folder, name: lastPart(folder.name) },
        `${base}/folders/${at.position}/${pathTo(folder.name)}${query}`,
        {
          text,
          language,
        },
      ),
    ),
    ...files.map((file) =>
      fileRow({ ...file, name: lastPart(file.name) }, `${base}/files/${at.position}/${pathTo(file.name)}`, {
        text,
        language,
        hasPreview: downloadsLeft === null,
      }),
    ),
  ];
  const next =
    nextUrl === null ? html`` : html`<p><a class="button" href="${new URL(nextUrl).search}">${text.more}</a></p> `;
  const facts = conditionsOf(level, text, language).filter((fact) => fact !== null);
  return html`<nav aria-label="${text.way}">
      <ol class="way">
        <li><a href="${base}${query}">${text.back}</a></li>
        ${join(way)}
      </ol>
    </nav>
    <h1 dir="auto">${title}</h1>
    <p class="soft">${facts.join(' ')}</p>
    <ul class="files">
      ${join(rows)}
    </ul>
    ${next}`;
}

function folderRow(
  { name, files, bytes }: Pick<SharedFolderJson, 'name' | 'files' | 'bytes'>,
  address: string,
  { text, language }: Pick<Words, 'text' | 'language'>,
): Html {
  return html`<li>
    <h2 dir="auto">${name}</h2>
    <p class="soft">${text.total(numberOf(files, language), sizeOf(bytes, language), files === 1)}</p>
    <p><a class="button" href="${address}" aria-label="${text.openFolderOf(name)}">${text.openFolder}</a></p>
  </li> `;
}

function fileRow(
  file: Pick<SharedFileJson, 'name' | 'size' | 'md5' | 'type'>,
  address: string,
  { text, language, hasPreview }: Omit<Words, 'title'> & { hasPreview: boolean },
): Html {
  const { name, size, md5 } = file;
  return html`<li>
    <h2 dir="auto">${name}</h2>
    <p class="soft">
      ${sizeOf(size, language)} <span class="md5">MD5 <code>${md5}</code></span>
    </p>
    <p><a class="button" href="${address}?download" aria-label="${text.downloadOf(name)}">${text.download}</a></p>
    ${hasPreview && size > 0 ? preview(file, address, text) : html``}
  </li> `;
}

/** Closed, it loads nothing: what is in it is lazy. */
function preview(file: Pick<SharedFileJson, 'name' | 'type'>, address: string, text: SharedTexts): Html {
  const shown = previewElement(file, address, text.previewOf(file.name));
  if (shown === null) return html``;
  return html`<details>
    <summary>${text.preview}</summary>
    ${shown}
  </details> `;
}

function previewElement(file: Pick<SharedFileJson, 'name' | 'type'>, address: string, title: string): Html | null {
  const src = `${address}?preview`;
  switch (previewKind(file)) {
    case 'image':
      return html`<img src="${src}" alt="${title}" loading="lazy" />`;
    case 'audio':
      return html`<audio src="${src}" controls preload="none" aria-label="${title}"></audio>`;
    case 'video':
      return html`<video src="${src}" controls preload="none" aria-label="${title}"></video>`;
    case 'pdf':
      return html`<iframe src="${src}" title="${title}" loading="lazy"></iframe>`;
    case 'text':
      return html`<iframe src="${src}=text" title="${title}" loading="lazy" sandbox></iframe>`;
    case null:
      return null;
  }
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

function sizeOf(bytes: number, language: string): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1023.5 && unit < UNITS.length - 1; unit++) value /= 1024;
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  const options = { maximumFractionDigits: digits, minimumFractionDigits: digits };
  return `${new Intl.NumberFormat(language, options).format(value)} ${UNITS[unit]}`;
}

function numberOf(count: number, language: string): string {
  return new Intl.NumberFormat(language).format(count);
}

/** In UTC, and says so: the service does not know where the reader is. */
function timeOf(iso: string, language: string): string {
  const options = { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' } as const;
  return `${new Intl.DateTimeFormat(language, options).format(new Date(iso))} UTC`;
}
