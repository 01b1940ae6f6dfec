/** The metadata with which an upload was created. */

/**
 * Reads the header Upload-Metadata (tus 1.0, Creation): pairs of a key and a Base64 value, which is read as UTF-8.
 *
 * @throws DOMException where a value is not Base64.
 */
export function readMetadata(header: string): Map<string, string> {
  const metadata = new Map<string, string>();
  for (const pair of header.split(',')) {
    const [key = '', value = ''] = pair.trim().split(' ');
    const bytes = Uint8Array.from(atob(value), (character) => character.charCodeAt(0));
    if (key !== '') metadata.set(key, new TextDecoder().decode(bytes));
  }
  return metadata;
}
