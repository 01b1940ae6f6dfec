/** By what the service is asked for files of a name. */

/** The service accepts a search of at most 255 bytes of UTF-8. The files that it finds are compared by their whole names. */
const SEARCHED_CHARACTERS = 60;

/**
 * The beginning of a name. It is not cut within what people see as one character: a syllable of Hangul without its end, as
 * macOS writes it, is another letter. Empty where the first one is too long: a listing without a search has the file, too.
 */
export function beginningOf(name: string): string {
  let beginning = '';
  let characters = 0;
  for (const { segment } of new Intl.Segmenter('en').segment(name)) {
    characters += Array.from(segment).length;
    if (characters > SEARCHED_CHARACTERS) break;
    beginning += segment;
  }
  return beginning;
}
