/** The sender's calls go where the SDK's go, and are signed for the same region, whatever the settings. */
import { PART } from '../harness/part.ts';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { PutObjectCommand, S3 } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bucketOf, setUpClient } from '../../stores/s3/client.ts';
import { S3_PRESET } from '../../stores/s3/preset.ts';
import { createSender } from '../../stores/s3/sender.ts';
import type { S3Settings } from '../../stores/s3/settings.ts';

const KEY = "a/ü (b)*!'+.bin";
const PLAIN: S3Settings = {
  endpoint: null,
  region: null,
  bucket: 'my-bucket',
  prefix: '',
  accessKeyId: 'key',
  secretAccessKey: 'secret',
  bufferBytes: 0,
  partBytes: PART,
  pathStyle: null,
  endpointIsBucket: false,
};

let seen: string[] = [];
const server = createServer((request, response) => {
  const { host = '', authorization = '' } = request.headers;
  seen.push([host, request.url?.split('?')[0], /\/([^/]+)\/s3\/aws4_request/.exec(authorization)?.[1]].join(' '));
  request.resume().once('end', () => response.writeHead(403).end());
});
beforeAll(() => new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve)));
afterAll(() => server.close());

test.each<Partial<S3Settings>>([
  {},
  { region: 'eu-west-1' },
  { region: 'aws-global' },
  { region: 'cn-north-1' },
  { bucket: 'with.dots' },
  { pathStyle: true },
  { endpoint: 'http://gateway:9000', pathStyle: true },
  { endpoint: 'http://gateway:9000' },
  { endpoint: 'https://gateway.example/s3/below/', pathStyle: true },
  { endpoint: 'http://[::1]:9000', pathStyle: true },
  { endpoint: 'http://10.0.0.1' },
  { endpoint: 'http://gateway:80', bucket: 'My_Bucket', pathStyle: true },
  { endpoint: 'https://files.example.com', endpointIsBucket: true },
  { endpoint: 'http://files.example.com:8080/below', endpointIsBucket: true },
])('%j', async (settings) => {
  const all = { ...PLAIN, ...settings };
  const { config, agents, closeConnections } = setUpClient(S3_PRESET, all);
  const here = (): ReturnType<typeof connect> => connect((server.address() as AddressInfo).port, '127.0.0.1');
  Object.assign(agents.httpAgent, { createConnection: here });
  Object.assign(agents.httpsAgent, { createConnection: here });
  const client = new S3(config);
  seen = [];
  const bytes = Buffer.from('tide');
  const command = new PutObjectCommand({ Bucket: bucketOf(all), Key: KEY, Body: bytes });
  await expect(client.send(command)).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
  const { signal: abortSignal } = new AbortController();
  const sent = createSender(client, bucketOf(all), agents).put({ key: KEY, bytes }, { abortSignal });
  await expect(sent).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
  expect(seen).toHaveLength(2);
  expect(seen[1]).toBe(seen[0]);
  client.destroy();
  closeConnections();
});
