/**
 * The form of a name by which it is sorted and searched: the same for every catalog, and for clients that place a file in a
 * list. Why so, and what it leaves alone: docs/decisions/0056-searches-and-the-main-thread.md.
 */

/**
 * Accents, and the points and vowel marks of Hebrew and Arabic: marks that a name is also written without. Not the voicing marks
 * of Kana, and not the vowel signs of Indic and other scripts: without them it would be another word.
 */
const ACCENTS = /(?![\u3099\u309A])(?=[\p{Script=Inherited}\p{Script=Hebrew}\p{Script=Arabic}])\p{Mn}/gu;

/** How much longer than the name the form may be: a single character stands for up to 18. */
const LONGEST_FACTOR = 2;

/** Folds a name, or a part that is searched for: NFKC, lower case of any script, without accents. */
export function foldName(name: string): string {
  // Most names are in ASCII, and publications wait for this.
  // oxlint-disable-next-line no-control-regex
  if (/^[\0-\x7f]*$/.test(name)) return name.toLowerCase();
  const folded = fold(name.normalize('NFKD'));
  return folded.length <= name.length * LONGEST_FACTOR ? folded : fold(name.normalize('NFD'));
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
