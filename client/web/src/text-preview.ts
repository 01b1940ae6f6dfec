/** Previews of text files: their beginning, as plain characters. */
import type { FileJson } from '../../../server/wire/files.ts';
import { readBeginning } from './api.ts';
import { make } from './dom.ts';
import { formatSize } from './format.ts';
import { texts } from './i18n.ts';

/** The most that is read and shown of a file. */
const SHOWN_BYTES = 128 * 1024;

const TEXT_TYPES =
  /^(?:text\/.+|application\/(?:.+\+)?(?:json|xml|yaml|toml)|application\/(?:x-)?(?:javascript|ecmascript|typescript|sh|sql|yaml|toml|httpd-php|perl|python|ruby|tex|latex|csh|ndjson|subrip|log|pem-file))$/;
/** Endings of text files whose types say nothing, or something wrong: the type of `.ts` is that of a video. */
const TEXT_NAMES =
  /(?:^|\.)(?:bat|c|cc|cfg|cnf|conf|cpp|cs|css|csv|diff|dockerfile|env|gitignore|go|h|hpp|htm|html|ini|java|js|json|jsonl|jsx|kt|less|lock|log|lua|make|makefile|markdown|md|mdx|mjs|nfo|patch|php|pl|properties|ps1|py|r|rb|readme|rs|rst|scala|scss|sh|sql|srt|swift|tex|text|toml|ts|tsv|tsx|txt|vtt|vue|xml|yaml|yml|license|changelog)$/i;

/** Whether a file is a text, judging by its type and name. */
export function isText({ name, type }: Pick<FileJson, 'name' | 'type'>): boolean {
  const essence = (type ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  return TEXT_TYPES.test(essence) || TEXT_NAMES.test(name);
}

/** Reads the beginning of a file, and makes the element that shows it. @returns null where the file is no text after all. */
export async function showText(file: FileJson, name: string): Promise<HTMLElement | null> {
  const t = texts();
  if (file.size === 0) return make('p', { className: 'note' }, t.textEmpty);
  const bytes = await readBeginning(file.id, SHOWN_BYTES);
  const text = decode(bytes);
  if (text === null) return null;
  const shown = make('pre', { className: 'text', dir: 'auto', tabIndex: 0 }, text);
  shown.setAttribute('role', 'region');
  shown.ariaLabel = t.textOf(name);
  const isCut = bytes.length < file.size;
  const note = isCut
    ? [make('p', { className: 'text-cut' }, t.textCut(formatSize(bytes.length), formatSize(file.size)))]
    : [];
  return make('div', { className: 'text-body' }, ...note, shown);
}

/** Decodes UTF-16 with a byte order mark, UTF-8, GB 18030 or Windows-1252, in this order; null where it is no text. */
function decode(bytes: Uint8Array<ArrayBuffer>): string | null {
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
