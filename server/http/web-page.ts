/** The page and its assets, as the build has left them: in memory, with their compressed forms. */
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
  /** @throws `not_found`. */
  sendAsset(ctx: Ctx, name: string): void;
}

/**
 * Nothing from elsewhere, nothing inline. A PDF is shown in a frame, by the browser's own viewer.
 * Scripts and styles are those that the page itself names, by a nonce: 'self' would let files of
 * somebody be one, and a path needs the host's public name, which not every proxy tells.
 *
 * @param filesOrigin - where files are sent to, when not to the service itself: previews come from there.
 */
function policyOfPage(filesOrigin: string | null, nonce: string): string {
  const files = filesOrigin === null ? "'self'" : `'self' ${filesOrigin}`;
  // Where the browser takes no cookie, the page itself fetches what is behind a token.
  const shown = `${files} blob:`;
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    // One that digests; files are never sent as script (disposition.ts).
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

/** A worker's own policy counts, not that of its page (CSP 3, section 4.2.2); it digests in WebAssembly. */
const CSP_ASSET = "default-src 'none'; script-src 'wasm-unsafe-eval'";

/**
 * @param folder - where Vite has put index.html and assets/, each asset beside its `.br` and `.gz`.
 * @param filesOrigin - see policyOfPage.
 * @returns a page that is not there where nothing was built.
 */
export async function loadWebPage(folder: string, filesOrigin: string | null): Promise<WebPage> {
  const [html, assets] = await Promise.all([
    readFile(join(folder, 'index.html'), 'utf8').catch(() => undefined),
    loadAssets(join(folder, 'assets')),
  ]);

  function pageFor(prefix: string, nonce: string): string {
    if (html === undefined) throw new TidemarkError('not_found', { message: 'The page is not built: npm run build.' });
    return html
      .replaceAll('="./', `="${escaped(prefix)}/`)
      .replaceAll(/<(?:script|link rel="stylesheet")/g, `$& nonce="${nonce}"`);
  }

  return {
    sendPage: (ctx) => {
      // A new one each time: a nonce that was seen does not work for the next page.
      const nonce = randomBytes(16).toString('base64');
      const forms = compressed(Buffer.from(pageFor(new URL(ctx.state.baseUrl).pathname.replace(/\/$/, ''), nonce)));
      ctx.set({
        'Content-Security-Policy': policyOfPage(filesOrigin, nonce),
        // With 'no-referrer' a browser would send the form as of the origin 'null' (Fetch, "append a request Origin header").
        'Referrer-Policy': 'same-origin',
        'Cross-Origin-Opener-Policy': 'same-origin',
        'Cache-Control': 'no-store',
      });
      send(ctx, forms, 'text/html; charset=utf-8');
    },
    sendAsset: (ctx, name) => {
      const forms = assets.get(name);
      if (!forms) throw new TidemarkError('not_found');
      ctx.set({
        'Content-Security-Policy': CSP_ASSET,
        'Cross-Origin-Resource-Policy': 'same-origin',
        // Its name holds a digest of its content.
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

/** Compresses a few kilobytes at each request: half a millisecond. */
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
