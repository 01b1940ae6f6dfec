/** Quotas as the domain sees them: what an owner has and may have, and the refusal of what would be too much. */
import type { OwnerTotal } from '../catalog/catalog.ts';
import { type Quota, sumOf, type Usage } from '../catalog/quotas.ts';
import type { Parts } from './parts.ts';
import { translated } from './translate.ts';

/** What an owner has and may have. */
export interface QuotaView {
  readonly quota: Quota;
  /** All that counts for the quota. */
  readonly used: OwnerTotal;
  readonly usage: Usage;
}

export interface Quotas {
  of(owner: string): Promise<QuotaView>;
}

/** Prepares what `Quotas` promises. */
export function createQuotas({ catalog, limits }: Pick<Parts, 'catalog' | 'limits'>): Quotas {
  return {
    of: (owner) =>
      translated(async () => {
        const quota = limits.quotaOf(owner);
        const openUploads = quota.openUploads ?? limits.maxOpenUploads;
        const usage = await catalog.usageOf(owner);
        return { quota: { ...quota, openUploads }, used: sumOf(usage), usage };
      }),
  };
}
