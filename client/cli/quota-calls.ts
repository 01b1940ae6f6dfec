/** The service's API of quotas as a function: one call is one request. */
import type { QuotaJson } from '../../server/wire/quota.ts';
import type { Call, ReadJson } from './link-calls.ts';

export interface QuotaCalls {
  quota(signal: AbortSignal): Promise<QuotaJson>;
}

export function createQuotaCalls(call: Call, readJson: ReadJson): QuotaCalls {
  return {
    quota: async (signal) =>
      readJson<QuotaJson>(await call('GET', '/api/quota', signal, {}), (value) => typeof value['bytes'] === 'object'),
  };
}
