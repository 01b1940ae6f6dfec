/** Shortens names that are too long for their place in the middle: the end shows the kind of file, and which one it is. */
import { make, shownName } from './dom.ts';

/** Names of at most so many characters are not split. */
const SHORT_SIGNS = 8;
/** Of a longer name than this, more of the end is kept: names often differ there. */
const LONG_SIGNS = 24;
/** The most characters that are kept at the end. */
const MOST_END_SIGNS = 18;

const signs = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** Splits a name into a start, which may be cut off where it is shown, and an end. Never splits a grapheme. */
export function splitName(name: string): [start: string, end: string] {
  const all = Array.from(signs.segment(name), ({ segment }) => segment);
  if (all.length <= SHORT_SIGNS) return [name, ''];
  const dot = all.lastIndexOf('.');
  const extension = dot > 0 ? all.length - dot : 0;
  const kept = Math.min(MOST_END_SIGNS, extension + (all.length > LONG_SIGNS ? 7 : 2));
  return [all.slice(0, -kept).join(''), all.slice(-kept).join('')];
}

/** Shows a name in this element; its title has the whole name. */
export function showName(element: HTMLElement, name: string): void {
  const shown = shownName(name);
  if (element.title === shown && element.textContent === shown) return;
  const [start, end] = splitName(shown);
  element.title = shown;
  // Spans take the writing direction of the whole name: the end alone may have no letter that shows it.
  const parts = [make('span', { className: 'name-start' }, start)];
  if (end !== '') parts.push(make('span', { className: 'name-end' }, end));
  element.replaceChildren(...parts);
}
