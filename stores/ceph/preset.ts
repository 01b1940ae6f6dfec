/** Ceph's object gateway, 16.2 and newer. */
import type { Preset } from '../s3/settings.ts';

export const CEPH_PRESET: Preset = {
  name: 'ceph',
  defaultRegion: 'us-east-1',
  // Virtual-hosted only with `rgw_dns_name`.
  pathStyle: true,
  // 16.2.15 refuses trailing checksums: 411 MissingContentLength on UploadPart.
  checksums: 'WHEN_REQUIRED',
  // Smaller with a smaller `rgw_multipart_min_part_size`.
  leastPartBytes: 5 * 1024 * 1024,
  listsMultiparts: true,
  // 16.2.15: 500 InternalError, "already in progress", and 404 NoSuchKey to ListParts.
  hidesGoneMultiparts: true,
  savingHosts: null,
  putIfAbsent: { 'if-none-match': '*' },
  rangeHeaders: {},
};
