/** Which files a page can show, and how: one rule for the service's own page and for those who open a link. */

export type PreviewKind = 'image' | 'audio' | 'video' | 'pdf' | 'text';

/** The most that is read and shown of a text. */
export const MOST_TEXT_BYTES = 128 * 1024;

const TEXT_TYPES =
  /^(?:text\/.+|application\/(?:.+\+)?(?:json|xml|yaml|toml)|application\/(?:x-)?(?:javascript|ecmascript|typescript|sh|sql|yaml|toml|httpd-php|perl|python|ruby|tex|latex|csh|ndjson|subrip|log|pem-file))$/;
/** Endings of text files whose types say nothing, or something wrong: the type of `.ts` is that of a video. */
const TEXT_NAMES =
  /(?:^|\.)(?:bat|c|cc|cfg|cnf|conf|cpp|cs|css|csv|diff|dockerfile|env|gitignore|go|h|hpp|htm|html|ini|java|js|json|jsonl|jsx|kt|less|lock|log|lua|make|makefile|markdown|md|mdx|mjs|nfo|patch|php|pl|properties|ps1|py|r|rb|readme|rs|rst|scala|scss|sh|sql|srt|swift|tex|text|toml|ts|tsv|tsx|txt|vtt|vue|xml|yaml|yml|license|changelog)$/i;

interface Named {
  name: string;
  type: string | null;
}

/** How a page can show a file; null where it cannot. SVG and HTML can contain scripts, and are shown as text. */
export function previewKind(file: Named): PreviewKind | null {
  const essence = essenceOf(file);
  if (essence === 'application/pdf') return 'pdf';
  const family = essence.split('/')[0];
  const isSvg = essence === 'image/svg+xml';
  if (!isSvg && (family === 'image' || family === 'audio' || family === 'video')) return family;
  return isSvg || isText(file) ? 'text' : null;
}

/** Whether a file is a text, judging by its type and name. */
export function isText(file: Named): boolean {
  return TEXT_TYPES.test(essenceOf(file)) || TEXT_NAMES.test(file.name);
}

function essenceOf({ type }: Named): string {
  return (type ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

/** Decodes UTF-16 with a byte order mark, UTF-8, GB 18030 or Windows-1252, in this order; null where it is no text. */
export function decodeText(bytes: Uint8Array): string | null {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  // A text in the encodings below has no NUL.
  if (bytes.includes(0)) return null;
  for (const encoding of ['utf-8', 'gb18030']) {
    try {
      // As a stream: the last character may be cut off.
      return new TextDecoder(encoding, { fatal: true }).decode(bytes, { stream: true });
    } catch {
      // The bytes are not valid in this encoding.
    }
  }
  return new TextDecoder('windows-1252').decode(bytes);
}
