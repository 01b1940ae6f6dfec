/** For each message of the parent, sends that many bytes from memory directly to the bucket, and answers with the number. */
import { randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { bucketClientConfig } from './bucket-client.ts';

const CHUNK = randomBytes(256 * 1024);
const { bucket, config } = bucketClientConfig();
const client = new S3Client(config);
client.middlewareStack.add(
  (next) => (args) => {
    const { headers } = args.request as { headers: Record<string, string> };
    headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
    return next(args);
  },
  { step: 'build', name: 'unsignedPayload', priority: 'low' },
);

function* bytes(size: number): Generator<Buffer> {
  for (let left = size; left > 0; left -= CHUNK.length) yield CHUNK.subarray(0, left);
}

process.on('message', (size: number) => {
  const Body = Readable.from(bytes(size), { objectMode: false });
  const params = { Bucket: bucket, Key: `direct/${randomUUID()}`, Body };
  new Upload({ client, params, queueSize: 4, partSize: 8 * 1024 * 1024 }).done().then(
    () => process.send?.(size),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    },
  );
});
process.send?.('ready');
