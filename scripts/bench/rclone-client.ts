/** For each message of the parent, lets rclone copy a file of that size, and answers with the size. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';

const { RCLONE = 'rclone', SOURCE = '', S3_ENDPOINT, S3_BUCKET, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY } = process.env;
const env = {
  RCLONE_CONFIG: '/dev/null',
  RCLONE_CONFIG_BUCKET_TYPE: 's3',
  RCLONE_CONFIG_BUCKET_PROVIDER: 'Ceph',
  RCLONE_CONFIG_BUCKET_ENDPOINT: S3_ENDPOINT,
  RCLONE_CONFIG_BUCKET_ACCESS_KEY_ID: S3_ACCESS_KEY_ID,
  RCLONE_CONFIG_BUCKET_SECRET_ACCESS_KEY: S3_SECRET_ACCESS_KEY,
};
const FLAGS = ['--s3-upload-concurrency=4', '--s3-chunk-size=8M', '--s3-no-check-bucket', '--ignore-times'];

process.on('message', (size: number) => {
  const to = `bucket:${S3_BUCKET}/direct/${randomUUID()}`;
  execFile(RCLONE, ['copyto', ...FLAGS, `${SOURCE}${size}`, to], { env }, (error, _, stderr) => {
    if (!error) process.send?.(size);
    else {
      process.stderr.write(stderr);
      process.exit(1);
    }
  });
});
process.send?.('ready');
