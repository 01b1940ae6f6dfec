/** HTML from templates: every value is escaped, unless it is HTML that came from here. */

export class Html {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

/** `` html`<p>${text}</p>` ``: values may stand in texts and in quoted attributes. */
export function html(strings: TemplateStringsArray, ...values: (string | number | Html)[]): Html {
  return new Html(
    String.raw({ raw: strings }, ...values.map((value) => (value instanceof Html ? value : escaped(value)))),
  );
}

/** Several pieces, one after the other. */
export function join(pieces: readonly Html[]): Html {
  return new Html(pieces.map(String).join(''));
}

function escaped(value: string | number): string {
  return String(value)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
