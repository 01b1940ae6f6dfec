/** AWS, and S3-compatible providers without a preset of their own. */
import type { Preset } from './settings.ts';

/** The preset of `STORE=s3`. */
export const S3_PRESET: Preset = {
  name: 's3',
  defaultRegion: 'us-east-1',
  pathStyle: false,
  // Parts carry Content-MD5, which all of them check.
  checksums: 'WHEN_REQUIRED',
  leastPartBytes: 5 * 1024 * 1024,
  listsMultiparts: true,
  hidesGoneMultiparts: false,
  savingHosts: null,
  // AWS since 2024; not all other providers know it.
  putIfAbsent: { 'if-none-match': '*' },
  rangeHeaders: {},
};
