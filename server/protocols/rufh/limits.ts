/** Upload-Limit: what an upload may be, told on the target, with its creation and with its state. */
import type { Dialect } from './dialects.ts';

export interface UploadLimits {
  /** Largest file in bytes; null: none. */
  maxFileSizeBytes: number | null;
  /** The most bytes that a proxy in front lets through in one request; null: any number. */
  maxAppendBytes: number | null;
  /** How long an upload lives after its last byte. */
  uploadTtlMs: number;
}

/**
 * The Upload-Limit field.
 *
 * @param leftMs - how long the upload lives unless more bytes come; a new one the full time; null: it does not expire.
 */
export function writeLimit(
  { maxFileSizeBytes, maxAppendBytes, uploadTtlMs }: UploadLimits,
  { ageKey }: Pick<Dialect, 'ageKey'>,
  leftMs: number | null = uploadTtlMs,
): string {
  const limits: [key: string, value: number | null][] = [
    ['max-size', maxFileSizeBytes],
    ['min-size', 0],
    ['max-append-size', maxAppendBytes],
    // Rounded up: the moment that it implies must not come nearer from one answer to the next.
    [ageKey, leftMs === null ? null : Math.max(0, Math.ceil(leftMs / 1000))],
  ];
  return limits
    .filter(([, value]) => value !== null)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');
}
