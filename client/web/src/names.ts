/** Names that the service accepts, of what the sender's system allows. */

/** The service's limit, in UTF-8. */
const MAX_NAME_BYTES = 255;

/** As the service refuses them: separators of paths, controls, lone surrogates. */
// oxlint-disable-next-line no-control-regex -- control characters are what it is there to find
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029/\\]|\p{Surrogate}/gu;

export function isAcceptable(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && acceptableName(name) === name;
}

/** A name as it is sent: some systems allow more than the service does, and 255 Chinese characters are 765 bytes. */
export function acceptableName(name: string): string {
  const clean = name.replaceAll(FORBIDDEN, '_');
  if (byteLength(clean) <= MAX_NAME_BYTES) return clean;
  const dot = clean.lastIndexOf('.');
  const extension = dot > 0 && clean.length - dot <= 16 ? clean.slice(dot) : '';
  let stem = '';
  for (const character of clean) {
    if (byteLength(stem + character + extension) > MAX_NAME_BYTES) break;
    stem += character;
  }
  return stem + extension;
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
