/** Finds and makes the page's elements. */

type Properties<T extends keyof HTMLElementTagNameMap> = Partial<
  Omit<HTMLElementTagNameMap[T], 'style' | 'dataset' | 'children' | 'attributes'>
> & { attributes?: Record<string, string> };

/** Finds an element of index.html. @throws where there is none. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no element ${id}`);
  return element as T;
}

/** Makes an element. Strings become text nodes, so that a file's name is never parsed as HTML. */
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

/** Sets a text only where it differs: a screen reader would announce it again. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Unicode controls of writing direction that affect the text around them: a name could hide its extension with one. */
const DIRECTION_CONTROLS = /[\u202a-\u202e\u2066-\u2069]/g;

/** A file's name as the page shows it: with U+FFFD for each such control. */
export function shownName(name: string): string {
  return name.replaceAll(DIRECTION_CONTROLS, '\ufffd');
}
