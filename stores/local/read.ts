/** Reads a file as a stream. */
import { fstatSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { withDescriptor } from '../descriptors.ts';
import { type ByteRange, StoreError } from '../store.ts';

const READ_BYTES = 256 * 1024;

/** Opens a file, or a range of it. @throws StoreError `missing` when its size is not `size`. */
export async function openStream(path: string, range?: ByteRange, size?: number): Promise<Readable> {
  const file = await withDescriptor(() => open(path, 'r'));
  const found = fstatSync(file.fd).size;
  if (size !== undefined && found !== size) {
    await file.close();
    throw new StoreError('missing', `${path} has ${found} bytes, not ${size}`);
  }
  // A file that loses its name while it is read may get more bytes: those of another upload (join.ts).
  const whole = { start: 0, end: Math.max(0, found - 1) };
  return file.createReadStream({ ...(range ?? whole), highWaterMark: READ_BYTES });
}
