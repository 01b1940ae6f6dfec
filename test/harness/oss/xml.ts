/** The subset of XML that S3 uses. */
const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\r': '&#13;' };
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

export class Element {
  readonly name: string;
  readonly children: readonly (Element | string | number | boolean)[];

  constructor(name: string, children: readonly (Element | string | number | boolean)[]) {
    this.name = name;
    this.children = children;
  }

  toString(): string {
    const inner = this.children.map((child) =>
      child instanceof Element ? child.toString() : String(child).replace(/[&<>"\r]/g, (found) => ESCAPES[found] ?? ''),
    );
    return `<${this.name}>${inner.join('')}</${this.name}>`;
  }
}

export function element(name: string, ...children: (Element | string | number | boolean)[]): Element {
  return new Element(name, children);
}

export function renderXml(root: Element): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${root.toString()}`;
}

/** The contents of all elements of this name. */
export function findAll(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>(.*?)</${name}>`, 'gs'))].map(([, inner]) => inner ?? '');
}

/** The text of the first element of this name. */
export function findText(xml: string, name: string): string | undefined {
  return findAll(xml, name)[0]
    ?.trim()
    .replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal?: string, hex?: string, entity?: string) => {
      if (entity !== undefined) return ENTITIES[entity] ?? whole;
      return String.fromCodePoint(decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal));
    });
}
