/** Names of files as clients send them, and the one that is taken (docs/decisions/0028-labels-and-names.md). */

export interface NameRow {
  title: string;
  sent: string;
  taken: string;
  /** What is taken where a browser writes the name in a form; `taken` where it is the same. */
  inForms?: string;
}

function row(title: string, sent: string, taken = sent, inForms?: string): NameRow {
  return { title, sent, taken, ...(inForms === undefined ? {} : { inForms }) };
}

export const NAMES: readonly NameRow[] = [
  row('a plain name', 'tide.txt'),
  row('a backslash', 'a\\b.txt', 'a_b.txt'),
  row('a tab', 'a\tb.txt', 'a_b.txt'),
  // Browsers make CR LF of a line end: what arrives are two signs.
  row('a newline', 'a\nb.txt', 'a_b.txt', 'a__b.txt'),
  row('a carriage return and a newline', 'a\r\nb.txt', 'a__b.txt'),
  row('DEL', 'a\u007fb.txt', 'a_b.txt'),
  row('a control character of C1', 'a\u0085b.txt', 'a_b.txt'),
  row('a line separator', 'a\u2028b.txt', 'a_b.txt'),
  row('a paragraph separator', 'a\u2029b.txt', 'a_b.txt'),
  row('quotes', 'a "quoted" \'name\'.txt'),
  row('signs of percent', '100%25 %2F %5C %00 %.txt'),
  // Browsers leave a literal one as it is, so that it cannot be told from a quote.
  row('%22, %0D and %0A', 'a%22b%0D%0A.txt', 'a%22b%0D%0A.txt', 'a"b__.txt'),
  row('signs that mean something in headers', 'a; b=c, d&e?f#g*h<i>|j:.txt'),
  row('a leading byte order mark', '\ufeffa.txt', 'a.txt'),
  row('two of them', '\ufeff\ufeffa.txt', 'a.txt'),
  row('a byte order mark inside', 'a\ufeffb.txt'),
  row('100 Chinese characters', `${'潮'.repeat(100)}.txt`),
  row('255 characters', `${'n'.repeat(251)}.txt`),
  row('256 characters', `${'n'.repeat(252)}.txt`, `${'n'.repeat(251)}.txt`),
  row('256 characters without an extension', 'n'.repeat(256), 'n'.repeat(255)),
  row('255 signs outside of the Basic Multilingual Plane', '🌊'.repeat(255)),
  row('256 of them', '🌊'.repeat(256), '🌊'.repeat(255)),
  row('letters with combining accents', 'e\u0301te\u0301.txt'),
  row('another direction', 'a\u202etxt.exe'),
  row('spaces around it', ' a .txt '),
  row('dots at its ends', '..a..'),
  row('what is a property of every object', '__proto__'),
  row('a path', 'a/b/c.txt'),
  row('a path that leads out', '../../etc/passwd', 'etc/passwd'),
  row('a path from the root', '/etc/./passwd', 'etc/passwd'),
  row('empty parts', 'a//b/c.txt', 'a/b/c.txt'),
  row('a path that leads back', 'a/..', 'a'),
  row('a long folder', `${'n'.repeat(256)}/b`, `${'n'.repeat(255)}/b`),
  row(
    'a path of 5,000 bytes',
    `${`${'n'.repeat(249)}/`.repeat(19)}${'n'.repeat(250)}`,
    `${`${'n'.repeat(249)}/`.repeat(15)}${'n'.repeat(250)}`,
  ),
  row('a hundred and one folders', `${'d/'.repeat(101)}n`, `${'d/'.repeat(100)}n`),
  row('a slash at its end', 'folder/', 'folder'),
  row('a path of Windows', 'C:\\Users\\me\\notes.txt', 'notes.txt'),
  // In a form two backslashes are how programs write one, and one before the last quote is how they write a quote.
  row('a share of Windows', '\\\\host\\share\\notes.txt', 'notes.txt', '_host_share_notes.txt'),
  row('a drive of Windows', 'C:\\', 'C:', 'C:"'),
];

/** Names of which nothing is left: they count as not given. */
export const NO_NAMES: readonly string[] = ['', '.', '..', '/', '//', './', '\ufeff', '\ufeff..'];
