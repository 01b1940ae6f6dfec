/** Which paths give out the bytes of files: what PUBLIC_READ and a page's ticket open, and nothing else. */

/** A file's own address. */
const OWN = /^\/api\/files\/[^/]+\/content$/;

/** Whether a path is the address of a content or of a file. */
export function isFileAddress(path: string): boolean {
  return path.startsWith('/files/') || OWN.test(path);
}
