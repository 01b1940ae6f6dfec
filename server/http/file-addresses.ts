/** Where bytes of files are downloaded: PUBLIC_READ and a page's ticket give access only to this. */

/** Several files as one: by GET, and, where an address would be too long for their ids, by a form. */
export const ARCHIVE_PATH = '/api/archive';

/** The address of a file's bytes, by the file's id. */
const OWN = /^\/api\/files\/[^/]+\/content$/;

/** Whether a path is the address of a content, of a file, or of several. */
export function isFileAddress(path: string): boolean {
  return path.startsWith('/files/') || OWN.test(path) || path === ARCHIVE_PATH;
}

/** Whether a request does nothing but download bytes of files. */
export function isDownload(method: string, path: string): boolean {
  return method === 'GET' || method === 'HEAD' ? isFileAddress(path) : method === 'POST' && path === ARCHIVE_PATH;
}
