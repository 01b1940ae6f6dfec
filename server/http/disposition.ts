/** How a browser may treat a file, which anyone may have uploaded, in the origin of this service. */
import contentDisposition from 'content-disposition';

/** Types that cannot run scripts: only these are shown, all others are saved. Browsers treat `+xml` as XML, which can. */
const SHOWN = /^(?!.*\+xml$)(?:image\/(?!svg)[\w.+-]+|audio\/[\w.+-]+|video\/[\w.+-]+|application\/pdf|text\/plain)$/;

/** MIME Sniffing Standard, "JavaScript MIME type": the only types that a browser runs as script under nosniff. */
const SCRIPT = /^(?:application|text)\/(?:x-)?(?:java|ecma|j|live)script(?:1\.[0-5])?$/;

/** Allows no scripts and no requests to other places, but what the browser's own viewers need. */
const CSP_SHOWN = "default-src 'none'; img-src 'self'; media-src 'self'; object-src 'self'; style-src 'unsafe-inline'";
const CSP_SAVED = "default-src 'none'; sandbox";

/** The headers with which a file is sent, whether by the service or by the bucket. */
export interface Presentation {
  /** Content-Type. */
  type: string;
  /** Content-Disposition (RFC 6266). */
  disposition: string;
  /** Whether the browser shows the file; otherwise it saves it. */
  isShown: boolean;
}

/**
 * @param type - media type of the file; null when unknown.
 * @param save - whether the client asks to save the file in any case.
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

/** The headers that make a file harmless, whatever it contains. */
export function presentationHeaders({ type, disposition, isShown }: Presentation): Record<string, string> {
  return {
    'Content-Type': type,
    'Content-Disposition': disposition,
    'Content-Security-Policy': isShown ? CSP_SHOWN : CSP_SAVED,
    'X-Content-Type-Options': 'nosniff',
  };
}

/** The name for programs that do not know `filename*`. ASCII only: many programs read Latin-1 in this header as UTF-8. */
function inAscii(name: string): string {
  return name.replaceAll(/[^\x20-\x7e]/gu, '?');
}
