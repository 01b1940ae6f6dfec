/** Names of entries: safe to unpack anywhere, and each of them once. */

/** The longest extension, with its dot, before which a number is put, and which is kept when a name is cut. */
const LONGEST_EXTENSION = 16;
/** The longest part of a path, in bytes of UTF-8: more do not fit in the file systems of Linux. Others count characters. */
const MOST_PART_BYTES = 255;
/** Room for the number of the last of 100,000 equal names. */
const NUMBER_BYTES = ' (100000)'.length;

/**
 * The names under which files are packed, in the order of the files. A name may be a path, with `/`. Where names are the same, all
 * but the first get a number: `name (2).ext`. Names that a system takes for the same when it unpacks them count as the same: it
 * would write one over the other. A file whose name a folder has gets a number, too: no system can have both.
 */
export function entryNames(names: readonly string[]): string[] {
  const safe = names.map(safePath);
  const folds = safe.map(fold);
  const isFolder = createFolderCheck(folds);
  // A name that a file has is not given to another one, wherever that stands.
  const taken = new Set(folds);
  const seen = new Set<string>();
  /** The last number that was tried for a name: so thousands of equal names do not take quadratic time. */
  const numbers = new Map<string, number>();
  return safe.map((name, index) => {
    const folded = folds[index] ?? '';
    if (!seen.has(folded) && !isFolder(folded)) {
      seen.add(folded);
      return name;
    }
    const [stem, extension] = roomForNumber(name);
    const base = fold(stem + extension);
    for (let number = (numbers.get(base) ?? 1) + 1; ; number++) {
      const other = `${stem} (${number})${extension}`;
      const otherFolded = fold(other);
      if (taken.has(otherFolded) || isFolder(otherFolded)) continue;
      numbers.set(base, number);
      taken.add(otherFolded);
      return other;
    }
  });
}

/** Tells which names are those of folders, on the way to any of the files; of paths of any depth without a list of all of them. */
function createFolderCheck(paths: readonly string[]): (path: string) => boolean {
  const parents = new Set<string>();
  for (const path of paths) {
    const end = path.lastIndexOf('/');
    if (end > 0) parents.add(path.slice(0, end));
  }
  const sorted = [...parents].sort();

  return (path) => {
    if (parents.has(path)) return true;
    const beginning = `${path}/`;
    // The first folder that does not come before those in this one.
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sorted[middle] ?? '') < beginning) low = middle + 1;
      else high = middle;
    }
    return sorted[low]?.startsWith(beginning) ?? false;
  };
}

/** A relative path below the folder into which it is unpacked, whatever was sent. */
function safePath(name: string): string {
  const parts = name
    .replaceAll('\\', '_')
    .replaceAll('\0', '_')
    .split('/')
    .filter((part) => part !== '' && part !== '.' && part !== '..');
  return parts.map((part) => split(part, MOST_PART_BYTES).join('')).join('/') || '_';
}

/**
 * What is the same for all names that some system takes for one. Windows and macOS know neither letter case nor forms of Unicode;
 * Windows leaves out dots and spaces at the end, and programs write `_` there for signs that it reserves.
 */
function fold(name: string): string {
  // Some letters have several lower forms, of which one is that of the upper form: σ and ς.
  const folded = name.normalize('NFC').toUpperCase().toLowerCase();
  return /[<>:"|?*]|[. ](?:\/|$)/.test(folded)
    ? folded.replaceAll(/[<>:"|?*]/g, '_').replaceAll(/(?<![. ])[. ]+(?=\/|$)/g, '')
    : folded;
}

/** What comes before and after the number in `a/name (2).ext`. */
function roomForNumber(path: string): [string, string] {
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  const [stem, extension] = split(path.slice(folder.length), MOST_PART_BYTES - NUMBER_BYTES);
  return [folder + stem, extension];
}

/** A name without and with its extension; of the former only as much as fits. */
function split(name: string, mostBytes: number): [string, string] {
  const dot = name.lastIndexOf('.');
  const cut = dot > 0 && name.length - dot <= LONGEST_EXTENSION ? dot : name.length;
  const [stem, extension] = [name.slice(0, cut), name.slice(cut)];
  // No UTF-16 unit takes more than three bytes.
  if (name.length * 3 <= mostBytes || Buffer.byteLength(name) <= mostBytes) return [stem, extension];
  let left = mostBytes - Buffer.byteLength(extension);
  let fitting = '';
  for (const character of stem) {
    left -= Buffer.byteLength(character);
    if (left < 0) break;
    fitting += character;
  }
  return [fitting, extension];
}
