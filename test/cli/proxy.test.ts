/** The command behind a company's proxy: all its requests go through it, and nobody learns its password. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { proxyFor } from '../../client/cli/proxy.ts';
import { openForwardProxy, openTlsFront } from '../harness/forward-proxy.ts';
import { type Authority, makeAuthority } from '../harness/self-signed.ts';
import { startService } from '../harness/service.ts';
import type { RunningService } from '../harness/service.ts';
import { type Client, makeClient, MIB } from './support.ts';

/** For documentation alone (RFC 5737): no request gets there but by the proxy. */
const FAR = '192.0.2.7';
const SECRET = 'p@ss/w%rd';
const NAMED = `me:${encodeURIComponent(SECRET)}@`;

let service: RunningService;
let authority: Authority;
beforeAll(async () => {
  service = await startService();
  authority = makeAuthority();
});
afterAll(() => service.stop());

/** A client that trusts the authority. */
async function makeTrustingClient(address: string): Promise<{ client: Client; ca: string }> {
  const client = await makeClient(address);
  const ca = join(client.folder, 'ca.pem');
  await writeFile(ca, authority.cert);
  return { client, ca };
}

/** Every command once: API, upload by tus, download. @returns all that was said. */
async function doAll(client: Client, env: NodeJS.ProcessEnv, name: string): Promise<string> {
  const path = await client.makeFile(name, MIB);
  const said: string[] = [];
  for (const args of [
    ['upload', path, '--chunk-size', '500k'],
    ['check', path],
    ['list', '--json'],
    ['rename', name, `new-${name}`],
    ['get', `new-${name}`, '-o', `got-${name}`],
    ['delete', `new-${name}`],
  ]) {
    const result = await client.run([...args, '--retry-for', '0'], { ...env, TIDEMARK_DEBUG: '1' });
    expect(result.exitCode, `${args.join(' ')}: ${result.stderr}`).toBe(0);
    said.push(result.stdout, result.stderr);
  }
  return said.join('\n');
}

test('plain HTTP: whole addresses', { timeout: 60_000 }, async () => {
  const proxy = await openForwardProxy({ to: { plain: service.port }, credentials: `me:${SECRET}` });
  const client = await makeClient(`http://${FAR}:8080`);
  const said = await doAll(client, { HTTP_PROXY: `http://${NAMED}127.0.0.1:${proxy.port}` }, 'plain.bin');
  const methods = new Set(proxy.seen.map((line) => line.replace(/^(\w+) http:\/\/192\.0\.2\.7:8080\/.*/, '$1')));
  expect([...methods].toSorted()).toEqual(['DELETE', 'GET', 'PATCH', 'POST']);
  expect(said).not.toMatch(/p@ss|p%40ss|cEBzcy/);
});

test('TLS: a tunnel, and an authority that NODE_EXTRA_CA_CERTS names', { timeout: 60_000 }, async () => {
  const tls = await openTlsFront(service.port, authority.issue([FAR]));
  const proxy = await openForwardProxy({ to: { plain: service.port, tls }, credentials: `me:${SECRET}` });
  const { client, ca } = await makeTrustingClient(`https://${FAR}`);
  const env = { https_proxy: `${NAMED}127.0.0.1:${proxy.port}` };
  const said = await doAll(client, { ...env, NODE_EXTRA_CA_CERTS: ca }, 'tunnelled.bin');
  expect(new Set(proxy.seen)).toEqual(new Set([`CONNECT ${FAR}:443`]));
  expect(said).not.toMatch(/p@ss|p%40ss|cEBzcy/);
  const { exitCode, stderr } = await client.run(['list'], env);
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('NODE_EXTRA_CA_CERTS')]);
  expect(stderr).toContain(`or of the proxy 127.0.0.1:${proxy.port}`);
});

test('a proxy that is itself reached by TLS', { timeout: 60_000 }, async () => {
  const tls = await openTlsFront(service.port, authority.issue([FAR]));
  const certificate = authority.issue(['127.0.0.1']);
  const proxy = await openForwardProxy({ to: { plain: service.port, tls }, tls: certificate });
  const { client, ca } = await makeTrustingClient(`https://${FAR}`);
  const env = { ALL_PROXY: `https://127.0.0.1:${proxy.port}`, NODE_EXTRA_CA_CERTS: ca };
  const sent = await client.run(['upload', await client.makeFile('both.bin', MIB)], env);
  expect(sent.exitCode, sent.stderr).toBe(0);
  expect(new Set(proxy.seen)).toEqual(new Set([`CONNECT ${FAR}:443`]));
  proxy.seen.length = 0;
  // By a name that is not the proxy's: its certificate is compared with the proxy's own address all the same.
  const plain = await client.run(['list', '--server', 'http://service.example'], env);
  expect([plain.stderr, proxy.seen]).toEqual([
    expect.stringContaining('unknown_host'),
    [expect.stringContaining('GET http://service.example/api/files')],
  ]);
});

test.each([
  ['http', undefined, 'asks for a name and a password'],
  ['https', undefined, 'asks for a name and a password'],
  ['https', 403, 'lets nothing through to this address'],
])('%s: a proxy that refuses (%s) ends the command at once: it %s', async (scheme, refuse, words) => {
  const credentials = refuse === undefined ? 'me:another' : `me:${SECRET}`;
  const proxy = await openForwardProxy({ to: { plain: service.port }, credentials, ...(refuse ? { refuse } : {}) });
  const client = await makeClient(`${scheme}://${FAR}`);
  const ALL_PROXY = `http://${NAMED}127.0.0.1:${proxy.port}`;
  const { exitCode, stderr } = await client.run(['list', '--retry-for', '10m'], { ALL_PROXY, TIDEMARK_DEBUG: '1' });
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining(words)]);
  expect(stderr).not.toMatch(/p@ss|p%40ss|cEBzcy/);
});

test.each(['socks5://me:secret@127.0.0.1:1', 'http://me:secret@127.0.0.1:99999', 'http://me:100%secret@127.0.0.1:1'])(
  '%s is no address of a proxy, and the message does not repeat it',
  async (address) => {
    const client = await makeClient(`http://${FAR}`);
    const { exitCode, stderr } = await client.run(['list'], { http_proxy: address, TIDEMARK_DEBUG: '1' });
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('HTTP_PROXY must be the address')]);
    expect(stderr).not.toContain('secret');
  },
);

test('requests to this machine itself never use one', async () => {
  const client = await makeClient(service.url);
  const result = await client.run(['list'], { HTTP_PROXY: 'http://127.0.0.1:1', ALL_PROXY: 'http://127.0.0.1:1' });
  expect(result.exitCode, result.stderr).toBe(0);
});

describe('which proxy', () => {
  const P = 'http://proxy.example:3128/';
  test.each([
    ['http://a.example', { HTTP_PROXY: P }, P],
    ['http://a.example', { HTTPS_PROXY: P }, null],
    ['https://a.example', { HTTPS_PROXY: P }, P],
    ['https://a.example', { HTTP_PROXY: P }, null],
    ['https://a.example', { ALL_PROXY: P }, P],
    ['http://a.example', { HTTP_PROXY: 'http://upper.example', http_proxy: P }, P],
    ['http://a.example', { HTTP_PROXY: '', ALL_PROXY: P }, P],
    ['http://a.example', { HTTP_PROXY: 'proxy.example:3128' }, P],
    ['http://localhost:1', { HTTP_PROXY: P }, null],
    ['http://api.localhost', { HTTP_PROXY: P }, null],
    ['http://127.8.0.1', { HTTP_PROXY: P }, null],
    ['http://[::1]:8080', { HTTP_PROXY: P }, null],
    ['http://a.example', { HTTP_PROXY: P, NO_PROXY: '*' }, null],
    ['http://a.example', { HTTP_PROXY: P, no_proxy: 'b.example, a.example' }, null],
    ['http://x.a.example', { HTTP_PROXY: P, NO_PROXY: 'a.example' }, null],
    ['http://x.a.example', { HTTP_PROXY: P, NO_PROXY: '.a.example' }, null],
    ['http://xa.example', { HTTP_PROXY: P, NO_PROXY: 'a.example' }, P],
    ['http://A.example', { HTTP_PROXY: P, NO_PROXY: 'a.EXAMPLE' }, null],
    ['http://a.example', { HTTP_PROXY: P, NO_PROXY: 'a.example:80' }, null],
    ['http://a.example:81', { HTTP_PROXY: P, NO_PROXY: 'a.example:80' }, P],
    ['http://192.0.2.7', { HTTP_PROXY: P, NO_PROXY: '192.0.2.7' }, null],
    ['http://192.0.2.7', { HTTP_PROXY: P, NO_PROXY: '0.2.7' }, P],
    ['http://192.0.2.7', { HTTP_PROXY: P, NO_PROXY: '192.0.2.0/24' }, null],
    ['http://192.0.3.7', { HTTP_PROXY: P, NO_PROXY: '192.0.2.0/24,10.0.0.0/8' }, P],
    ['http://a.example', { HTTP_PROXY: P, NO_PROXY: '0.0.0.0/0' }, P],
    ['http://192.0.2.7', { HTTP_PROXY: P, NO_PROXY: '192.0.2.0/33' }, P],
    ['http://[2001:db8::7]', { HTTP_PROXY: P, NO_PROXY: '2001:db8::/32' }, null],
    ['http://[2001:db8::7]', { HTTP_PROXY: P, NO_PROXY: '2001:db8::7' }, null],
    ['http://[2001:db9::7]', { HTTP_PROXY: P, NO_PROXY: '2001:db8::/32' }, P],
  ] as [string, Record<string, string>, string | null][])('to %s with %o: %s', (address, environment, expected) => {
    expect(proxyFor(new URL(address), environment)?.href ?? null).toBe(expected);
  });
});
