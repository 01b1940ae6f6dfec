/** The library without this service: @tus/server with its S3Store. Arguments: folder, port; S3_* in the environment. */
import { createServer } from 'node:http';
import { S3Store } from '@tus/s3-store';
import { Server } from '@tus/server';
import { bucketClientConfig } from './bucket-client.ts';

const [, port = '0'] = process.argv.slice(2);
const { bucket, config } = bucketClientConfig();
const tus = new Server({
  path: '/uploads',
  datastore: new S3Store({ partSize: 8 * 1024 * 1024, s3ClientConfig: { bucket, ...config } }),
});
createServer((request, response) => {
  void tus.handle(request, response);
}).listen(Number(port), '127.0.0.1');
