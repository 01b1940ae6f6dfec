/** The pages of links. They need no script: every download is a plain link, and previews are the browser's own. */
import { randomBytes } from 'node:crypto';
import { previewKind } from '../wire/previews.ts';
import type { RequestedJson, SharedFileJson, SharedJson } from '../wire/links.ts';
import { OF_THE_FILE } from './errors.ts';
import { html, type Html, join } from './html.ts';
import { toRefusal } from './refusals.ts';
import { pathOfLink } from './shared-cookies.ts';
import { SHARED_STYLE } from './shared-style.ts';
import { type SharedTexts, textsFor } from './shared-texts.ts';
import type { Ctx } from './state.ts';

export interface SharedPages {
  sendLink(ctx: Ctx, shared: SharedJson): void;
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
      const { text, language } = textsFor(ctx);
      const title = shared.name ?? (shared.files.length === 1 ? text.oneFile : text.someFiles);
      sendPage(ctx, shown, { title, text, body: linkBody(ctx, shared, { title, text, language }) });
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

function linkBody(ctx: Ctx, shared: SharedJson, { title, text, language }: Words): Html {
  const { files, size, expiresAt, downloadsLeft } = shared;
  const here = pathOfForm(ctx);
  const facts = [
    files.length > 1 ? text.total(numberOf(files.length, language), sizeOf(size, language)) : null,
    expiresAt === null ? null : text.expires(timeOf(expiresAt, language)),
    downloadsLeft === null ? null : text.left(downloadsLeft),
  ].filter((fact) => fact !== null);
  const all = files.length > 1 ? html`<p><a class="button main" href="${here}/archive">${text.all}</a></p> ` : html``;
  // What a preview shows are the file's bytes: where downloads are limited, looking would be one.
  const rows = files.map((file) => fileRow(file, { here, text, language, hasPreview: downloadsLeft === null }));
  return html`<h1 dir="auto">${title}</h1>
    <p class="soft">${facts.join(' ')}</p>
    ${all}
    <ul class="files">
      ${join(rows)}
    </ul>`;
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

function fileRow(
  file: SharedFileJson,
  { here, text, language, hasPreview }: Omit<Words, 'title'> & { here: string; hasPreview: boolean },
): Html {
  const { name, size, md5, position } = file;
  const address = `${here}/files/${position}`;
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
function preview(file: SharedFileJson, address: string, text: SharedTexts): Html {
  const shown = previewElement(file, address, text.previewOf(file.name));
  if (shown === null) return html``;
  return html`<details>
    <summary>${text.preview}</summary>
    ${shown}
  </details> `;
}

function previewElement(file: SharedFileJson, address: string, title: string): Html | null {
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
