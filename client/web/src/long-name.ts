/** Names that are too long for their place lose their middle: the end tells what kind of file it is, and which. */
import { make, shownName } from './dom.ts';

/** Shorter names have no middle. */
const SHORT_SIGNS = 8;
/** Of a name longer than this, more of the end stays in sight: what tells two of them apart is often there. */
const LONG_SIGNS = 24;
/** A longer extension is hardly one. */
const MOST_END_SIGNS = 18;

const signs = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** The two parts of a name: the first gives way. What people see as one sign is never torn apart. */
export function splitName(name: string): [start: string, end: string] {
  const all = Array.from(signs.segment(name), ({ segment }) => segment);
  if (all.length <= SHORT_SIGNS) return [name, ''];
  const dot = all.lastIndexOf('.');
  const extension = dot > 0 ? all.length - dot : 0;
  const kept = Math.min(MOST_END_SIGNS, extension + (all.length > LONG_SIGNS ? 7 : 2));
  return [all.slice(0, -kept).join(''), all.slice(-kept).join('')];
}

/** Shows a name in this element, whole in its title. */
export function showName(element: HTMLElement, name: string): void {
  const shown = shownName(name);
  if (element.title === shown && element.textContent === shown) return;
  const [start, end] = splitName(shown);
  element.title = shown;
  // Spans, which run in the direction of the whole: the end may hold no letter that tells it.
  const parts = [make('span', { className: 'name-start' }, start)];
  if (end !== '') parts.push(make('span', { className: 'name-end' }, end));
  element.replaceChildren(...parts);
}
