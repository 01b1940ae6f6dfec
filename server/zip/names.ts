/** Names of entries: safe to unpack anywhere, and each of them once. */

/** The longest extension, with its dot, before which a number is put. */
const LONGEST_EXTENSION = 16;

/**
 * The names under which files are packed, in the order of the files. A name may be a path, with `/`. Where names are the same, all
 * but the first get a number: `name (2).ext`. Names that differ in letter case or in the form of Unicode count as the same:
 * Windows and macOS would unpack one over the other.
 */
export function entryNames(names: readonly string[]): string[] {
  const safe = names.map(safePath);
  // A name that a file has is not given to another one, wherever that stands.
  const taken = new Set(safe.map(fold));
  const seen = new Set<string>();
  /** The last number that was tried for a name: so thousands of equal names do not take quadratic time. */
  const numbers = new Map<string, number>();
  return safe.map((name) => {
    const folded = fold(name);
    if (!seen.has(folded)) {
      seen.add(folded);
      return name;
    }
    for (let number = (numbers.get(folded) ?? 1) + 1; ; number++) {
      const other = numbered(name, number);
      if (taken.has(fold(other))) continue;
      numbers.set(folded, number);
      taken.add(fold(other));
      return other;
    }
  });
}

/** A relative path below the folder into which it is unpacked, whatever was sent. */
function safePath(name: string): string {
  const parts = name
    .replaceAll('\\', '_')
    .replaceAll('\0', '_')
    .split('/')
    .filter((part) => part !== '' && part !== '.' && part !== '..');
  return parts.join('/') || '_';
}

function fold(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

/** `a/name.ext` as `a/name (2).ext`. */
function numbered(path: string, number: number): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const folder = path.slice(0, path.length - name.length);
  const dot = name.lastIndexOf('.');
  const cut = dot > 0 && name.length - dot <= LONGEST_EXTENSION ? dot : name.length;
  return `${folder}${name.slice(0, cut)} (${number})${name.slice(cut)}`;
}
