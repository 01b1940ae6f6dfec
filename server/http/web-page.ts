/** Serves the page and its assets: what the build has written, kept in memory with its compressed forms. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import mime from 'mime-types';
import { TidemarkError } from '../uploads/errors.ts';
import type { Ctx } from './state.ts';

type Encoding = 'br' | 'gzip' | 'identity';
type Forms = Record<Encoding, Buffer>;

export interface WebPage {
  sendPage(ctx: Ctx): void;
  /** The page of an upload link. @param path - of the link, below the service's base. @returns false where it is not built. */
  sendSenders(ctx: Ctx, path: string): boolean;
  /** @throws `not_found`. */
  sendAsset(ctx: Ctx, name: string): void;
}

/**
 * The Content-Security-Policy of the page: nothing from other origins, nothing inline. The browser's own viewer shows a PDF in
 * a frame. Scripts and styles are only those that the page names, by a nonce: 'self' would also allow an uploaded file, and a
 * path would need the public name of the host, which not every proxy forwards.
 *
 * @param filesOrigin - the origin to which downloads are redirected, from which previews then come; null without redirects.
 */
function policyOfPage(filesOrigin: string | null, nonce: string): string {
  const files = filesOrigin === null ? "'self'" : `'self' ${filesOrigin}`;
  // Where the browser accepts no cookies, the page itself fetches files behind a token, as blobs.
  const shown = `${files} blob:`;
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    // The worker that computes digests. An uploaded file cannot be one: files are never sent as scripts (disposition.ts).
    "worker-src 'self'",
    `style-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    `img-src ${shown}`,
    `media-src ${shown}`,
    `frame-src ${files}`,
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** A worker has its own policy, not that of its page (CSP 3, section 4.2.2). It computes digests in WebAssembly. */
const CSP_ASSET = "default-src 'none'; script-src 'wasm-unsafe-eval'";

/**
 * Loads the page.
 *
 * @param folder - where Vite has put index.html and assets/, each asset beside its `.br` and `.gz`.
 * @param filesOrigin - see policyOfPage.
 * @returns a page that answers `not_found` where nothing was built.
 */
export async function loadWebPage(folder: string, filesOrigin: string | null): Promise<WebPage> {
  const [html, senders, assets] = await Promise.all([
    readFile(join(folder, 'index.html'), 'utf8').catch(() => undefined),
    readFile(join(folder, 'send.html'), 'utf8').catch(() => undefined),
    loadAssets(join(folder, 'assets')),
  ]);

  /** @param link - the path of an upload link below the service's base. */
  function sendHtml(ctx: Ctx, text: string, link = ''): void {
    // A new nonce for each answer: one that an attacker has seen is of no use for the next page.
    const nonce = randomBytes(16).toString('base64');
    const prefix = new URL(ctx.state.baseUrl).pathname.replace(/\/$/, '');
    const page = text
      .replaceAll('="./', `="${escaped(prefix)}/`)
      .replaceAll('="#link/', `="${escaped(prefix + link)}/`)
      .replaceAll(/<(?:script|link rel="(?:stylesheet|modulepreload)")/g, `$& nonce="${nonce}"`);
    ctx.set({
      'Content-Security-Policy': policyOfPage(filesOrigin, nonce),
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cache-Control': 'no-store',
    });
    send(ctx, compressed(Buffer.from(page)), 'text/html; charset=utf-8');
  }

  return {
    sendPage: (ctx) => {
      if (html === undefined)
        throw new TidemarkError('not_found', { message: 'The page is not built: npm run build.' });
      // With 'no-referrer', a browser would send the form with `Origin: null` (Fetch, "append a request Origin header").
      ctx.set('Referrer-Policy', 'same-origin');
      sendHtml(ctx, html);
    },
    sendSenders: (ctx, path) => {
      if (senders === undefined) return false;
      sendHtml(ctx, senders, path);
      return true;
    },
    sendAsset: (ctx, name) => {
      const forms = assets.get(name);
      if (!forms) throw new TidemarkError('not_found');
      ctx.set({
        'Content-Security-Policy': CSP_ASSET,
        'Cross-Origin-Resource-Policy': 'same-origin',
        // The name of an asset contains a digest of its content.
        'Cache-Control': 'public, max-age=31536000, immutable',
      });
      send(ctx, forms, mime.contentType(name) || 'application/octet-stream');
    },
  };
}

function send(ctx: Ctx, forms: Forms, type: string): void {
  ctx.vary('Accept-Encoding');
  const wanted = ctx.acceptsEncodings('br', 'gzip', 'identity');
  const encoding: Encoding = wanted === 'br' || wanted === 'gzip' ? wanted : 'identity';
  if (encoding !== 'identity') ctx.set('Content-Encoding', encoding);
  ctx.set('Content-Type', type);
  ctx.body = forms[encoding];
}

async function loadAssets(folder: string): Promise<Map<string, Forms>> {
  const names = await readdir(folder).catch((): string[] => []);
  const entries = names
    .filter((name) => !/\.(?:br|gz)$/.test(name))
    .map(async (name) => {
      const [identity, br, gzip] = await Promise.all(
        ['', '.br', '.gz'].map((suffix) => readFile(join(folder, name + suffix))),
      );
      return [name, { identity, br, gzip } as Forms] as const;
    });
  return new Map(await Promise.all(entries));
}

/** Compresses the page for each request: a few kilobytes, which takes half a millisecond. */
function compressed(identity: Buffer): Forms {
  const br = brotliCompressSync(identity, {
    params: {
      [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
      [constants.BROTLI_PARAM_QUALITY]: 5,
    },
  });
  return { identity, br, gzip: gzipSync(identity) };
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}
