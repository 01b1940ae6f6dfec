/** Previews of text files: their beginning, as plain characters. */
import type { FileJson } from '../../../server/wire/files.ts';
import { decodeText, MOST_TEXT_BYTES } from '../../../server/wire/previews.ts';
import { readBeginning } from './api.ts';
import { make } from './dom.ts';
import { formatSize } from './format.ts';
import { texts } from './i18n.ts';

/** Reads the beginning of a file, and makes the element that shows it. @returns null where the file is no text after all. */
export async function showText(file: FileJson, name: string): Promise<HTMLElement | null> {
  const t = texts();
  if (file.size === 0) return make('p', { className: 'note' }, t.textEmpty);
  const bytes = await readBeginning(file.id, MOST_TEXT_BYTES);
  const text = decodeText(bytes);
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
