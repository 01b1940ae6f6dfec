/**
 * The form of a name by which it is sorted and searched: the same for every catalog, and for clients that place a file in a
 * list. Why so, and what it leaves alone: docs/decisions/0056-searches-and-the-main-thread.md.
 */

/**
 * Accents, and the points and vowel marks of Hebrew and Arabic: marks that a name is also written without. Not the voicing marks
 * of Kana, and not the vowel signs of Indic and other scripts: without them it would be another word.
 */
const ACCENTS = /(?![\u3099\u309A])(?=[\p{Script=Inherited}\p{Script=Hebrew}\p{Script=Arabic}])\p{Mn}/gu;

/** A character that stands for more others than this stays as it is (ﷺ stands for 18): indexes take no longer names. */
const MOST_STOOD_FOR = 3;

/** Folds a name, or a part that is searched for: NFKC, lower case of any script, without accents. */
export function foldName(name: string): string {
  // Most names are in ASCII, and publications wait for this.
  // oxlint-disable-next-line no-control-regex
  if (/^[\0-\x7f]*$/.test(name)) return name.toLowerCase();
  return fold(decompose(name));
}

/** NFKD, as far as it does not make the name too long. Each character for itself: so a part is decomposed as the whole name is. */
function decompose(name: string): string {
  const canonical = name.normalize('NFD');
  if (name.normalize('NFKD') === canonical) return canonical;
  const signs = Array.from(canonical, (sign) => {
    const stoodFor = sign.normalize('NFKD');
    return stoodFor.length <= MOST_STOOD_FOR ? stoodFor : sign;
  });
  return signs.join('').normalize('NFD');
}

function fold(decomposed: string): string {
  // By way of upper case, in which ß and ss, ı and i, and all forms of sigma are one. ẞ has no other upper case than itself.
  const lower = decomposed
    .replaceAll(ACCENTS, '')
    .replaceAll('ẞ', 'ß')
    .toUpperCase()
    .toLowerCase()
    .replaceAll('ς', 'σ');
  // Lower case of some letters has a mark of its own.
  return lower.normalize('NFD').replaceAll(ACCENTS, '').normalize('NFC');
}
