/** Reads the bucket in a Host header as OSS does: virtual-hosted addresses only. */
import type { OssSettings } from './call.ts';
import { OssError } from './errors.ts';

/** `<bucket>.s3.oss-<region>[-internal].aliyuncs.com` */
const OSS_HOST = /^(?:(?<bucket>[^/]+)\.)?s3\.oss-(?<region>[a-z0-9-]+?)(?<internal>-internal)?\.aliyuncs\.com$/;

/** The host of a region's S3 API, without a bucket. */
export function regionHost(region: string): string {
  return `s3.oss-${region}.aliyuncs.com`;
}

/**
 * Checks that a request came to the right address.
 *
 * @returns whether that was the domain of OSS itself.
 * @throws OssError where the address is wrong.
 */
export function checkAddress(hostHeader: string, settings: OssSettings): { isDefaultDomain: boolean } {
  const host = hostHeader.toLowerCase().replace(/:\d+$/, '');
  if (settings.ownDomain !== undefined && host === settings.ownDomain) return { isDefaultDomain: false };
  const { bucket, region, internal } = OSS_HOST.exec(host)?.groups ?? {};
  if (bucket === undefined) throw new OssError('SecondLevelDomainForbidden');
  if (region !== settings.region) {
    throw new OssError('AccessDenied', 'The bucket must be addressed using the specified endpoint.');
  }
  if (settings.publicHost === 'forbidden' && internal === undefined) throw new OssError('PublicEndpointForbidden');
  if (bucket !== settings.bucket) throw new OssError('NoSuchBucket');
  return { isDefaultDomain: true };
}
