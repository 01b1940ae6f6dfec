/** Wrong settings of a bucket, one mistake each, and what `npm start` and the doctor have to say about each. */
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, type Server, createServer as createTcpServer } from 'node:net';
import { connect } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { onTestFinished } from 'vitest';
import type { SystemBucket } from './buckets.ts';
import { RESOLVE_HERE } from './oss/lookup-here.ts';
import { makeSelfSigned, type SelfSigned } from './self-signed.ts';

/** Longer than any provider tolerates. */
const SHIFT_MS = 20 * 60_000;

export interface WrongSetting {
  what: string;
  /** The only provider on which it is tried: the one that notices the mistake, or any one where no provider sees it. */
  only?: 'Ceph' | 'OSS';
  /** What replaces the right settings. */
  env(bucket: SystemBucket): NodeJS.ProcessEnv | Promise<NodeJS.ProcessEnv>;
  /** The step of the doctor that fails. */
  step: string;
  sentence: RegExp;
}

export const WRONG_SETTINGS: readonly WrongSetting[] = [
  {
    what: 'the key',
    env: () => ({ S3_ACCESS_KEY_ID: 'another' }),
    step: 'signature',
    sentence: /the access key is not known there: check S3_ACCESS_KEY_ID/,
  },
  {
    what: 'the secret',
    env: () => ({ S3_SECRET_ACCESS_KEY: 'another-secret' }),
    step: 'signature',
    sentence: /the secret key does not fit the access key: check S3_SECRET_ACCESS_KEY/,
  },
  {
    what: 'the bucket',
    env: () => ({ S3_BUCKET: 'no-such-bucket' }),
    step: 'bucket',
    sentence: /the bucket is not there: check S3_BUCKET/,
  },
  {
    what: 'the region',
    only: 'OSS',
    env: () => ({ S3_REGION: 'cn-beijing' }),
    step: 'signature',
    sentence: /the bucket is in another region: check S3_REGION/,
  },
  {
    what: 'the region of the endpoint',
    only: 'OSS',
    env: ({ port }) => ({ S3_ENDPOINT: `http://s3.oss-cn-beijing.aliyuncs.com:${port}` }),
    step: 'bucket',
    sentence: /the bucket is in another region: check S3_REGION and S3_ENDPOINT/,
  },
  {
    what: 'the addressing style, where the gateway has no name of its own',
    only: 'Ceph',
    env: ({ port }) => ({
      S3_PATH_STYLE: 'false',
      S3_ENDPOINT: `http://rgw.test:${port}`,
      NODE_OPTIONS: `--import=${RESOLVE_HERE}`,
    }),
    step: 'bucket',
    sentence: /does not take the bucket in the host name: set S3_PATH_STYLE=true/,
  },
  {
    what: 'the addressing style, where the bucket has to be in the host name',
    only: 'OSS',
    env: ({ port }) => ({
      STORE: 's3',
      S3_PART_BYTES: '',
      S3_PATH_STYLE: 'true',
      S3_REGION: 'cn-hangzhou',
      S3_ENDPOINT: `http://s3.oss-cn-hangzhou.aliyuncs.com:${port}`,
    }),
    step: 'signature',
    sentence: /takes the bucket in the host name only: set S3_PATH_STYLE=false/,
  },
  ...[-SHIFT_MS, SHIFT_MS].map((ms) => ({
    what: `the clock, ${ms < 0 ? 'behind' : 'ahead'}`,
    env: (bucket: SystemBucket) => ({ NODE_OPTIONS: `${bucket.env()['NODE_OPTIONS'] ?? ''} ${shiftedClock(ms)}` }),
    step: 'clock',
    sentence: /this machine's clock is off: set it \(NTP\)/,
  })),
  {
    what: 'the port',
    only: 'OSS',
    env: () => endpoint('http', 1),
    step: 'connection',
    sentence: /nothing listens there: check S3_ENDPOINT/,
  },
  {
    what: 'the host name',
    only: 'OSS',
    env: () => ({ ...ELSEWHERE, S3_ENDPOINT: 'http://no-such-host.invalid' }),
    step: 'name',
    sentence: /its name cannot be resolved/,
  },
  ...[
    { what: 'a page of HTML', status: 200, type: 'text/html', body: '<html><body><p>Welcome</p></body></html>' },
    { what: 'a page of careless HTML', status: 404, type: 'text/html', body: '<!doctype html><p>Not here<br>&nbsp;' },
    { what: 'nothing at all', status: 200, type: 'text/plain', body: '' },
    { what: 'JSON', status: 401, type: 'application/json', body: '{"error":"unauthorized"}' },
  ].map(({ what, status, type, body }) => ({
    what: `the endpoint, which answers ${what}`,
    only: 'OSS' as const,
    env: async () => endpoint('http', await serve(status, type, body)),
    step: 'S3',
    sentence: /what answers there does not speak S3: check S3_ENDPOINT/,
  })),
  {
    what: 'the endpoint, which is no web server',
    only: 'OSS',
    env: async () => endpoint('http', await listen(createTcpServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')))),
    step: 'S3',
    sentence: /what answers there does not speak HTTP: check S3_ENDPOINT/,
  },
  {
    what: 'the endpoint, which takes connections and never answers',
    only: 'OSS',
    env: async () => endpoint('http', await listen(createTcpServer())),
    step: 'S3',
    sentence: /nothing answers there in time: check S3_ENDPOINT/,
  },
  {
    what: 'http, where TLS is spoken',
    only: 'OSS',
    env: async () => endpoint('http', await serveTls(makeSelfSigned(30), 1)),
    step: 'S3',
    sentence: /what listens there speaks TLS: begin S3_ENDPOINT with https/,
  },
  {
    what: 'https, where no TLS is spoken',
    only: 'OSS',
    env: ({ port }) => endpoint('https', port),
    step: 'TLS',
    sentence: /what listens there does not speak TLS: begin S3_ENDPOINT with http/,
  },
  {
    what: 'the certificate, which nobody vouches for',
    only: 'OSS',
    env: async () => endpoint('https', await serveTls(makeSelfSigned(30), 1)),
    step: 'TLS',
    sentence: /its certificate is not trusted here/,
  },
  {
    what: 'a proxy that reaches nothing',
    only: 'OSS',
    env: async () => endpoint('http', await serve(502, 'text/html', '<html>Bad gateway</html>')),
    step: 'S3',
    sentence: /a proxy in front of it cannot reach it/,
  },
];

const OSS = {
  STORE: 'oss',
  S3_ENDPOINT: 'https://s3.oss-cn-hangzhou.aliyuncs.com',
  S3_BUCKET: 'uploads',
  S3_ACCESS_KEY_ID: 'key',
  S3_SECRET_ACCESS_KEY: 'secret',
};

/** Settings that the service refuses before it sends any request. */
export const REFUSED_FOR_OSS: readonly { what: string; env: NodeJS.ProcessEnv; reason: string }[] = [
  {
    what: 'the bucket in the path',
    env: { ...OSS, S3_PATH_STYLE: 'true' },
    reason: 'S3_PATH_STYLE: must be false with STORE=oss: OSS takes the bucket in the host name only',
  },
  {
    what: 'an IP address',
    env: { ...OSS, S3_ENDPOINT: 'https://192.0.2.1', S3_REGION: 'cn-hangzhou' },
    reason: 'S3_ENDPOINT: must be a name with STORE=oss: under an IP address the bucket cannot be in the host name',
  },
];

/** Settings with which an endpoint need not have the form of OSS's addresses. */
const ELSEWHERE = { STORE: 's3', S3_PART_BYTES: '', S3_PATH_STYLE: 'true', S3_REGION: 'us-east-1' };

function endpoint(scheme: 'http' | 'https', port: number): NodeJS.ProcessEnv {
  return { ...ELSEWHERE, S3_ENDPOINT: `${scheme}://localhost:${port}` };
}

/** An option of Node that shifts the clock of the whole process by so many milliseconds. */
export function shiftedClock(ms: number): string {
  return `--import=${new URL('shift-clock.js', import.meta.url).href}?ms=${ms}`;
}

/** Opens a port that speaks TLS and passes the bytes on to another port, until the running test has finished. */
export function serveTls({ key, cert }: SelfSigned, toPort: number): Promise<number> {
  return listen(
    createTlsServer({ key, cert }, (socket) => {
      const onward = connect(toPort, '127.0.0.1');
      for (const [one, other] of [
        [socket, onward],
        [onward, socket],
      ] as const) {
        one.on('error', () => other.destroy());
        one.pipe(other);
      }
    }),
  );
}

function serve(status: number, type: string, body: string): Promise<number> {
  return listen(createHttpServer((_, response) => response.writeHead(status, { 'Content-Type': type }).end(body)));
}

async function listen(server: Server): Promise<number> {
  server.on('connection', (socket) => socket.on('error', () => undefined));
  await new Promise<void>((resolve) => {
    // On IPv4 and IPv6, as localhost may be either.
    server.listen(0, resolve);
  });
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}
