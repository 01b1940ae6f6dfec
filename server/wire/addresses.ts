/** Paths of uploads, files and contents, below the service's base. */

/** An upload's address. */
export function uploadPath(uploadId: string): string {
  return `/uploads/${uploadId}`;
}

/** A file's own address: downloads from it get the file's name and type. */
export function filePath(file: { id: string }): string {
  return `/api/files/${file.id}/content`;
}

/** A content's address. @param name - of the content: `<md5>`, or `<md5>-<variant>`. */
export function contentPath(name: string): string {
  return `/files/${name}`;
}

/** Where links are opened: below it stand their secrets. */
export const SHARED_PATH = '/s/';

/** A link's address. */
export function sharedPath(secret: string): string {
  return SHARED_PATH + secret;
}

/** Where files are sent by a link, and an upload below it: `/s/<secret>` or `/s/<secret>/uploads`, `/s/<secret>/uploads/<id>`. */
export const UPLOADS_OF_LINK = /^\/s\/([\w-]{1,64})(?:(\/uploads)(?:\/([^/]+))?)?$/;
