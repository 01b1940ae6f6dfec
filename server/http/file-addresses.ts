/** The paths from which bytes of files are downloaded: PUBLIC_READ and a page's ticket give access only to these. */

/** The address of a file's bytes, by the file's id. */
const OWN = /^\/api\/files\/[^/]+\/content$/;

/** Whether a path is the address of a content or of a file. */
export function isFileAddress(path: string): boolean {
  return path.startsWith('/files/') || OWN.test(path);
}
