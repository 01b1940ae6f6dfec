/** Paths of what has an address, below the service's base. */

export function uploadPath(uploadId: string): string {
  return `/uploads/${uploadId}`;
}

/** A file's own address: it carries the file's name and type. */
export function filePath(file: { id: string }): string {
  return `/api/files/${file.id}/content`;
}

/** A content's address. @param name - of the content: `<md5>`, or `<md5>-<variant>`. */
export function contentPath(name: string): string {
  return `/files/${name}`;
}
