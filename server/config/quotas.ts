/** How much each owner may have (`QUOTA_BYTES`, `QUOTA_FILES`, `QUOTAS`). */
import type { Token } from './access.ts';
import type { OwnerQuota, QuotaConfig } from './config.ts';
import { quote } from './problems.ts';
import type { Reader } from './reader.ts';
import { parseBytes } from './units.ts';

const MOST_FILES = 1_000_000_000;
const MOST_OPEN = 1_000_000;
const EXAMPLE = 'alice:bytes=500GB:files=10000,bob:bytes=0:uploads=20';

/** Reads the settings. @param tokens - `QUOTAS` names their owners. */
export function readQuotas(read: Reader, tokens: readonly Token[]): QuotaConfig {
  const standard: OwnerQuota = {
    bytes: parseBytes(read.text('QUOTA_BYTES', '0')) === 0 ? null : read.bytes('QUOTA_BYTES'),
    files: read.wholeNumber('QUOTA_FILES', 0, 0, MOST_FILES) || null,
    openUploads: null,
  };
  const ofOwners = new Map<string, OwnerQuota>();
  for (const entry of read.list('QUOTAS')) {
    const [owner = '', ...limits] = entry.split(':').map((part) => part.trim());
    if (!tokens.some((token) => token.owner === owner)) {
      read.problem(
        'QUOTAS',
        `must begin each entry with a name of AUTH_TOKENS, as in ${EXAMPLE}; ${quote(owner)} is none`,
      );
    } else if (ofOwners.has(owner)) read.problem('QUOTAS', `must have one entry for ${owner}`);
    else ofOwners.set(owner, { ...standard, ...readLimits(read, owner, limits) });
  }
  return { standard, ofOwners: Object.fromEntries(ofOwners) };
}

/** What an entry says beside the name. */
function readLimits(read: Reader, owner: string, limits: readonly string[]): Partial<OwnerQuota> {
  const found: Partial<OwnerQuota> = {};
  if (limits.length === 0) read.problem('QUOTAS', `must say for ${owner} what the limits are, as in ${EXAMPLE}`);
  for (const limit of limits) {
    const [, name, value = ''] = /^(bytes|files|uploads)\s*=\s*(.+)$/.exec(limit) ?? [];
    if (name === 'bytes') {
      const bytes = parseBytes(value);
      if (bytes === undefined)
        read.problem('QUOTAS', `bytes of ${owner} must be a size such as 10GiB, or 0 for no limit`);
      else found.bytes = bytes || null;
    } else if (name !== undefined) {
      const most = name === 'files' ? MOST_FILES : MOST_OPEN;
      const number = /^\d{1,10}$/.test(value) ? Number(value) : Infinity;
      if (number > most)
        read.problem('QUOTAS', `${name} of ${owner} must be a whole number from 0 to ${most}; 0: no limit`);
      else found[name === 'files' ? 'files' : 'openUploads'] = number || null;
    } else read.problem('QUOTAS', `must be bytes=, files= or uploads= after ${owner}, not ${quote(limit)}`);
  }
  return found;
}

/** The quota of each owner; undefined where nobody has one. */
export function quotasOf({ standard, ofOwners }: QuotaConfig): ((owner: string) => OwnerQuota) | undefined {
  const all = [standard, ...Object.values(ofOwners)];
  const isAny = all.some((quota) => Object.values(quota).some((limit) => limit !== null));
  const byOwner = new Map(Object.entries(ofOwners));
  return isAny ? (owner) => byOwner.get(owner) ?? standard : undefined;
}
