/**
 * Whether there is room within the quota for a file that is sent in parts. Each part by itself may fit where the file does not: the
 * service would refuse one of the last ones, and those before it would take up the room.
 */
import type { LimitJson, QuotaJson } from '../../server/wire/quota.ts';
import { type Refusal } from './refusals.ts';

/** Which limit a further file of this size would pass; null: none. */
export function limitPassed({ bytes, files }: QuotaJson, size: number): 'bytes' | 'files' | null {
  const passes = ({ used, limit }: LimitJson, more: number): boolean => limit !== null && used + more > limit;
  if (passes(files, 1)) return 'files';
  return passes(bytes, size) ? 'bytes' : null;
}

/** Whether a refusal says that there is nothing to learn of quotas: the service is older, or the token may only upload. */
export function tellsNoQuota({ status }: Pick<Refusal, 'status'>): boolean {
  return status === 403 || status === 404;
}
