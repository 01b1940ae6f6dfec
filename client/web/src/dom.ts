/** The page's elements: found by id, and made. */

type Properties<T extends keyof HTMLElementTagNameMap> = Partial<
  Omit<HTMLElementTagNameMap[T], 'style' | 'dataset' | 'children' | 'attributes'>
> & { attributes?: Record<string, string> };

/** An element of index.html. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no element ${id}`);
  return element as T;
}

/** Makes an element. Texts become text nodes: a name of a file is never read as HTML. */
export function make<T extends keyof HTMLElementTagNameMap>(
  tag: T,
  { attributes = {}, ...properties }: Properties<T> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[T] {
  const element = document.createElement(tag);
  Object.assign(element, properties);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Sets a text where it has changed: a screen reader is not told twice. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Controls of writing direction that change what stands around them: a name could hide its extension with one. */
const DIRECTION_CONTROLS = /[\u202a-\u202e\u2066-\u2069]/g;

/** A file's name as it is shown. */
export function shownName(name: string): string {
  return name.replaceAll(DIRECTION_CONTROLS, '\ufffd');
}
