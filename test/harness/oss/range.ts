/** Reads a Range header as OSS does, which differs from HTTP. */
import { OssError } from './errors.ts';

export interface ByteRange {
  from: number;
  /** Included. */
  to: number;
}

/**
 * The range to answer with, or undefined for the whole object, with 200.
 *
 * By default OSS gives the whole object where a range cannot be met or ends past the object;
 * with `x-oss-range-behavior: standard` it clamps the range, or refuses it with 416.
 */
export function readRange(range: string | undefined, size: number, isStandard: boolean): ByteRange | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(range ?? '') ?? [];
  if (first === undefined || last === undefined || first + last === '') return undefined;
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  const wanted =
    first === ''
      ? { from: size - Number(last), to: size - 1 }
      : { from: Number(first), to: last === '' ? size - 1 : Number(last) };
  if (wanted.from >= 0 && wanted.from < size && wanted.to < size) return wanted;
  if (!isStandard) return undefined;
  if (wanted.from >= size) throw new OssError('InvalidRange');
  return { from: Math.max(wanted.from, 0), to: Math.min(wanted.to, size - 1) };
}
