/**
 * How large the body of a request may be where something in front of the service limits it. A proxy does not say what it
 * accepts: it answers 413, and the next request is smaller.
 */

const KIB = 1024;
const MIB = 1024 * KIB;

/** Sizes to try one after another, each below a limit that is in use. */
const SIZES = [
  // Cloudflare: 100 MB.
  95 * MIB,
  // IIS: 30,000,000 bytes; Google Cloud Run: 32 MiB.
  28 * MIB,
  // API gateways of several clouds: 10 MB.
  9 * MIB,
  // Functions of Vercel and AWS: 4.5 MB and 6 MB.
  4 * MIB,
  // nginx (client_max_body_size): 1 MiB.
  MIB,
  512 * KIB,
  // ModSecurity (SecRequestBodyNoFilesLimit): 128 KiB.
  128 * KIB,
  64 * KIB,
];

/** How long a size is remembered: after that one request finds out whether the limit still is there. */
export const KEEP_SIZE_MS = 7 * 24 * 3_600_000;

/** The code of a request that was refused for its size on the way, where a smaller one may get through. */
export const REQUEST_TOO_LARGE = 'request_too_large';

/** What a client has learned of the way to a service. */
export interface LearnedSize {
  /** Most bytes of a request's body. */
  bytes: number;
  /** When that was learned, in milliseconds since the epoch. */
  at: number;
}

const OF_THE_SERVICE: readonly (string | null)[] = ['too_large', 'over_quota'];

/**
 * Whether something in front of the service refused a request for its size. The service's own 413 is about the file, and a
 * smaller request would not help: it has one of the codes below, and the header that all its answers below `/uploads` have.
 *
 * @param code - of the body; null where the body is not in the form of the service.
 * @param tusResumable - the header `Tus-Resumable` of the answer.
 */
export function isRefusedOnTheWay(
  status: number,
  code: string | null,
  tusResumable: string | null | undefined,
): boolean {
  return status === 413 && !OF_THE_SERVICE.includes(code) && !tusResumable;
}

/**
 * The size of the next requests after one was refused.
 *
 * @param refusedBytes - the size of its body.
 * @param known - what was learned before. The refused request may have been sent before that.
 * @returns null where a smaller request would be of no use.
 */
export function sizeAfter(refusedBytes: number, known: number | null): number | null {
  if (known !== null && known < refusedBytes) return known;
  return SIZES.find((size) => size < refusedBytes) ?? null;
}

/** Reads what was remembered of a service; null where that is too old, or no size. */
export function readLearnedSize(remembered: unknown, nowMs: number): number | null {
  const { bytes, at } = (remembered ?? {}) as Partial<Record<keyof LearnedSize, unknown>>;
  if (typeof at !== 'number' || !(nowMs - at < KEEP_SIZE_MS) || at > nowMs) return null;
  return typeof bytes === 'number' && SIZES.includes(bytes) ? bytes : null;
}
