/** The steps on the connection to the bucket, before any signature: name, TCP, TLS, whether S3 answers, and its clock. */
import dns from 'node:dns';
import { once } from 'node:events';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { speaksTls } from '../check.ts';
import { BucketError } from '../errors.ts';
import type { Finding, Step } from '../../section.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const ANSWER_TIMEOUT_MS = 5_000;
const MOST_ANSWER_BYTES = 64 * 1024;
const DAY_MS = 86_400_000;
const RENEW_DAYS = 14;
/** SigV4: a provider refuses requests whose time differs by more. */
const MOST_SKEW_MS = 15 * 60_000;
/** With a larger difference the step passes with a note. */
const NOTED_SKEW_MS = 60_000;

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
  /** This machine's time halfway through the request, in milliseconds since the epoch. */
  at: number;
}

/** @param url - the bucket's address, to which the SDK sends its requests. */
export function addressSteps(url: URL): Step[] {
  const host = url.hostname.replaceAll(/[[\]]/g, '');
  const secure = url.protocol === 'https:';
  const port = Number(url.port || (secure ? 443 : 80));
  let answer: Answer | undefined;

  const steps: Step[] = [
    { name: 'name', tried: `looking up ${host}`, run: () => lookUp(host) },
    {
      name: 'connection',
      tried: `connecting to port ${port}`,
      needs: ['name'],
      run: async () => {
        await opened(connect({ host, port }), 'connect');
        return { found: secure || isIP(host) !== 0 ? 'connected' : 'connected; what is sent is not encrypted' };
      },
    },
  ];
  if (secure) {
    steps.push({
      name: 'TLS',
      tried: 'shaking hands',
      needs: ['connection'],
      run: () => shakeHands(host, port),
    });
  }
  steps.push(
    {
      name: 'S3',
      tried: 'asking without a signature',
      needs: [secure ? 'TLS' : 'connection'],
      run: async () => {
        answer = await ask(url).catch(async (error: unknown) => {
          if (!secure && (await speaksTls(host, port))) throw new BucketError('TlsOnly', 'TLS answers there', error);
          throw error;
        });
        const { server } = answer.headers;
        const who = server === undefined ? '' : ` from ${String(server)}`;
        return { found: `${answer.status}${codeIn(answer)}${who}` };
      },
    },
    { name: 'clock', tried: 'comparing the time', needs: ['S3'], run: async () => compareClocks(answer) },
  );
  return steps;
}

async function lookUp(host: string): Promise<Finding> {
  if (isIP(host) !== 0) return { found: 'it is an address' };
  const found = await new Promise<dns.LookupAddress[]>((resolve, reject) => {
    // As sockets do: by the system's resolver, /etc/hosts included.
    dns.lookup(host, { all: true }, (error, addresses) => (error ? reject(error) : resolve(addresses)));
  });
  return { found: found.map(({ address }) => address).join(', ') };
}

/** Waits until the socket is connected, and closes it. @throws BucketError ETIMEDOUT, or the socket's error. */
async function opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  try {
    await once(socket, event, { signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS) });
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') throw new BucketError('ETIMEDOUT', 'no answer', error);
    throw error;
  } finally {
    socket.destroy();
  }
}

async function shakeHands(host: string, port: number): Promise<Finding> {
  // SNI is for names only, not for IP addresses (RFC 6066 section 3).
  const socket: TLSSocket = connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}) });
  let protocol = '';
  let validTo = '';
  socket.once('secureConnect', () => {
    protocol = socket.getProtocol() ?? '';
    validTo = socket.getPeerCertificate().valid_to;
  });
  await opened(socket, 'secureConnect');
  const days = Math.floor((Date.parse(validTo) - Date.now()) / DAY_MS);
  const found = `${protocol}, certificate valid for ${days} more days`;
  return days < RENEW_DAYS ? { found, note: true, change: 'renew the certificate soon' } : { found };
}

async function ask(url: URL): Promise<Answer> {
  const begun = Date.now();
  const get = url.protocol === 'https:' ? httpsGet : httpGet;
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  try {
    // `once` rejects with the request's error.
    const [incoming] = (await once(get(url.origin + url.pathname, { signal, agent: false }), 'response')) as [
      IncomingMessage,
    ];
    const at = (begun + Date.now()) / 2;
    const answer = { status: incoming.statusCode ?? 0, headers: incoming.headers, body: await startOf(incoming), at };
    checkSpeaksS3(answer);
    return answer;
  } catch (error) {
    if (signal.aborted) throw new BucketError('ETIMEDOUT', 'no answer', error);
    throw error;
  }
}

async function startOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MOST_ANSWER_BYTES) break;
  }
  return Buffer.concat(chunks).toString();
}

/** Accepts a refusal or a listing in S3's XML, or at least a request id. @throws BucketError GatewayFailed or NotS3. */
function checkSpeaksS3(answer: Answer): void {
  const { status, headers, body } = answer;
  if (headers['x-amz-request-id'] !== undefined || /<(?:Error|ListBucketResult)[\s>]/.test(body)) return;
  const what = headers['content-type'] ?? 'no type';
  if (status >= 502 && status <= 504) throw new BucketError('GatewayFailed', `${status}, ${what}`);
  throw new BucketError('NotS3', `${status}, ${what}, and neither an S3 error nor a request id`);
}

function codeIn({ body }: Answer): string {
  const code = /<Code>([A-Za-z]+)<\/Code>/.exec(body)?.[1];
  return code === undefined ? '' : ` ${code}`;
}

function compareClocks(answer: Answer | undefined): Finding {
  const { date } = answer?.headers ?? {};
  const there = Date.parse(date ?? '');
  if (!answer || Number.isNaN(there)) return { found: 'the answer has no Date', note: true };
  // The header has whole seconds: half a second on average is cut off.
  const skewMs = answer.at - there - 500;
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  const found = `this machine is ${seconds} s ${skewMs < 0 ? 'behind' : 'ahead of'} it`;
  if (Math.abs(skewMs) > MOST_SKEW_MS) throw new BucketError('RequestTimeTooSkewed', found);
  if (Math.abs(skewMs) <= NOTED_SKEW_MS) return { found: seconds <= 1 ? 'the same' : found };
  return { found, note: true, change: 'set the clock (NTP): at 15 minutes requests are refused' };
}
