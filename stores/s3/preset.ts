/** AWS, and look-alikes that no preset of their own is for. */
import type { Preset } from './settings.ts';

export const S3_PRESET: Preset = {
  name: 's3',
  defaultRegion: 'us-east-1',
  pathStyle: false,
  // Parts carry Content-MD5, which all of them check.
  checksums: 'WHEN_REQUIRED',
  listsMultiparts: true,
  hidesGoneMultiparts: false,
  savingHosts: null,
  // AWS since 2024; not all look-alikes know it.
  putIfAbsent: { 'If-None-Match': '*' },
  rangeHeaders: {},
};
