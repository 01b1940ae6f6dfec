/** Forms with one file, as browsers send them. */
import { filePart, multipart } from '../support.ts';
import type { Ask } from './ask.ts';

const BOUNDARY = 'tidemark-test-boundary';
export const FORM_TYPE = { 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` };

/** A form with these bytes in the field `file`. @param type - what the browser says they are. */
export function formOf(
  { name, bytes }: { name: string; bytes: Uint8Array },
  type = 'application/octet-stream',
): Required<Pick<Ask, 'headers' | 'body'>> {
  const part = filePart(asBrowsersWrite(name)).replace('application/octet-stream', () => type);
  return { headers: FORM_TYPE, body: multipart(BOUNDARY, [[part, bytes]]) };
}

/** HTML, "multipart/form-data encoding algorithm". */
function asBrowsersWrite(name: string): string {
  return name.replaceAll('"', '%22').replaceAll(/\r\n|\r|\n/g, '%0D%0A');
}
