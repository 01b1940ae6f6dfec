/** Aliyun OSS by its S3 API. */
import type { Preset } from '../s3/settings.ts';

export const OSS_PRESET: Preset = {
  name: 'oss',
  // In the endpoint's name: the configuration takes it from there.
  defaultRegion: null,
  // Path style: 403 SecondLevelDomainForbidden.
  pathStyle: false,
  // aws-chunked bodies: 400 InvalidArgument or NotImplemented.
  checksums: 'WHEN_REQUIRED',
  leastPartBytes: 100 * 1024,
  // Not among the calls that the vendor lists.
  listsMultiparts: false,
  hidesGoneMultiparts: false,
  // Its own domains put `attachment`, without a name, in the place of any other disposition.
  savingHosts: /\.aliyuncs\.com$/,
  // If-None-Match: NotImplemented.
  putIfAbsent: { 'x-oss-forbid-overwrite': 'true' },
  // Without it a range that cannot be met is answered with 200 and the whole object.
  rangeHeaders: { 'x-oss-range-behavior': 'standard' },
};
