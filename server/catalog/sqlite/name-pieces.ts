/**
 * What of a name is indexed: at each character a piece of three, the last ones filled up. So each part of a name is a piece,
 * or the beginning of one. Each piece begins with a hash of the owner: a search reads nothing of other owners.
 */

/** Fills up the last pieces. No name has it. */
const END = '\u0180';
/** To where ASCII signs that are not letters or digits are moved: for the tokenizer, all from U+0080 on are letters. */
const SIGNS_AT = 0x100;
/** More pieces of a part would exclude hardly any other name. */
const MOST_ASKED = 16;

/** The pieces of a folded name, as a text for the index. */
export function toPieces(owner: string, folded: string): string {
  return piecesOf(owner, [...lettersOf(folded), END, END], Array.from(folded).length).join(' ');
}

/** The question for names that contain a folded part, in the language of FTS5. */
export function toQuestion(owner: string, part: string): string {
  const signs = lettersOf(part);
  if (signs.length < 3) return `"${hashOf(owner)}${signs.join('')}" *`;
  const pieces = piecesOf(owner, signs, Math.min(signs.length - 2, MOST_ASKED));
  return pieces.map((piece) => `"${piece}"`).join(' AND ');
}

function piecesOf(owner: string, signs: readonly string[], count: number): string[] {
  const start = hashOf(owner);
  const pieces = new Set<string>();
  for (let at = 0; at < count; at++) pieces.add(`${start}${signs[at]}${signs[at + 1]}${signs[at + 2]}`);
  return [...pieces];
}

function lettersOf(text: string): string[] {
  return Array.from(text.replaceAll(/[^0-9a-z\u0080-\u{10ffff}]/gu, moved));
}

function moved(sign: string): string {
  return String.fromCodePoint((sign.codePointAt(0) ?? 0) + SIGNS_AT);
}

/** FNV-1a. Owners with the same hash cost each other time, no more. */
function hashOf(owner: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < owner.length; at++) hash = Math.imul(hash ^ owner.charCodeAt(at), 0x01000193) >>> 0;
  return hash.toString(36).padStart(7, '0');
}
