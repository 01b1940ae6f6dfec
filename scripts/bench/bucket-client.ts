/** The settings of the S3 client for the other programs in a comparison. */
import type { S3ClientConfig } from '@aws-sdk/client-s3';

/** Reads them from `S3_*` in the environment. */
export function bucketClientConfig(): { bucket: string; config: S3ClientConfig } {
  const { S3_ENDPOINT, S3_REGION, S3_BUCKET, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY } = process.env;
  return {
    bucket: S3_BUCKET ?? '',
    config: {
      endpoint: S3_ENDPOINT ?? '',
      region: S3_REGION ?? '',
      forcePathStyle: true,
      // Ceph 16 refuses the SDK's own checksums of streams.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      credentials: { accessKeyId: S3_ACCESS_KEY_ID ?? '', secretAccessKey: S3_SECRET_ACCESS_KEY ?? '' },
    },
  };
}
