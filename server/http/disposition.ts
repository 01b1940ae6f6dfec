/** How a browser may show a file of someone else in our origin. */
import contentDisposition from 'content-disposition';

/** Types that cannot run script; everything else is saved, not shown. A browser takes any `+xml` for XML, which can. */
const SHOWN = /^(?!.*\+xml$)(?:image\/(?!svg)[\w.+-]+|audio\/[\w.+-]+|video\/[\w.+-]+|application\/pdf|text\/plain)$/;

/** MIME Sniffing Standard, "JavaScript MIME type": the only types that a browser runs as script under nosniff. */
const SCRIPT = /^(?:application|text)\/(?:x-)?(?:java|ecma|j|live)script(?:1\.[0-5])?$/;

/** No script, no request to anywhere; what the browser's own viewers need. */
const CSP_SHOWN = "default-src 'none'; img-src 'self'; media-src 'self'; object-src 'self'; style-src 'unsafe-inline'";
const CSP_SAVED = "default-src 'none'; sandbox";

/** What a browser is told about a file, whether the service sends it or the bucket. */
export interface Presentation {
  /** Content-Type. */
  type: string;
  /** Content-Disposition (RFC 6266). */
  disposition: string;
  /** In the browser's window; else it is saved. */
  isShown: boolean;
}

/**
 * @param type - its media type; null when unknown.
 * @param save - the client asks to save it rather than to show it.
 */
export function present(name: string, type: string | null, save: boolean): Presentation {
  const essence = (type ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  const isShown = SHOWN.test(essence) && !save;
  return {
    type: typeToSend(essence, type),
    disposition: contentDisposition(name, { type: isShown ? 'inline' : 'attachment', fallback: inAscii(name) }),
    isShown,
  };
}

function typeToSend(essence: string, type: string | null): string {
  if (essence === 'text/plain') return 'text/plain; charset=utf-8';
  return type === null || SCRIPT.test(essence) ? 'application/octet-stream' : type;
}

/** The headers that make a file harmless whatever it holds. */
export function presentationHeaders({ type, disposition, isShown }: Presentation): Record<string, string> {
  return {
    'Content-Type': type,
    'Content-Disposition': disposition,
    'Content-Security-Policy': isShown ? CSP_SHOWN : CSP_SAVED,
    'X-Content-Type-Options': 'nosniff',
  };
}

/** For programs that know no `filename*`; Latin-1, which the header may hold, is read as UTF-8 by many. */
function inAscii(name: string): string {
  return name.replaceAll(/[^\x20-\x7e]/gu, '?');
}
