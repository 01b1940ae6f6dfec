/** A service whose disk hardly responds. */

/** An option of Node that makes each read of a file take so long, or of the files in a folder. @param path - without symbolic links. */
export function slowReads(path: string, ms: number): string {
  return `--import=${new URL('slow-file.js', import.meta.url).href}?path=${encodeURIComponent(path)}&ms=${ms}`;
}
