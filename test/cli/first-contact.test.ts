/** Wrong addresses, services behind proxies, and other servers in the service's place. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect, createServer as createLine } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer } from 'node:https';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../harness/ports.ts';
import { makeSelfSigned } from '../harness/self-signed.ts';
import { startService } from '../harness/service.ts';
import type { RunningService } from '../harness/service.ts';
import { makeClient, makeInterceptor } from './support.ts';

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

test.each(['http://127.0.0.1:{port}', 'http://no-such-host.invalid:{port}'])(
  'where nothing answers at %s, many files end in a few seconds with one sentence',
  { timeout: 30_000 },
  async (pattern) => {
    const address = pattern.replace('{port}', String(await freePort()));
    const client = await makeClient(address);
    const names = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((n) => client.makeFile(`${n}.bin`, 100)));
    const startedAt = performance.now();
    const result = await client.run(['upload', ...names]);
    // Ten minutes where it is not told apart from a service that restarts.
    expect(performance.now() - startedAt).toBeLessThan(20_000);
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain(`there is no service at ${address}`);
    expect(result.stderr).toContain('TIDEMARK_SERVER');
    expect(result.stderr).toContain('not begun');
  },
);

test('where nothing answers for as long as --retry-for says, other files are not tried', async () => {
  const client = await makeClient(`http://127.0.0.1:${await freePort()}`);
  const names = await Promise.all([1, 2].map((n) => client.makeFile(`${n}.bin`, 100)));
  const result = await client.run(['upload', '--parallel', '1', '--retry-for', '0', ...names]);
  expect([result.exitCode, result.stderr]).toEqual([1, expect.stringContaining('1 failed, 1 not begun')]);
});

test(
  'a service that starts a little later is waited for, as long as --retry-for says',
  { timeout: 60_000 },
  async () => {
    const late = await startService();
    onTestFinished(() => late.stop());
    await late.kill('SIGKILL');
    const client = await makeClient(late.url);
    const run = client.start(['list', '--retry-for', '60s']);
    await run.said('there is no service at');
    await late.restart();
    expect((await run.done).exitCode).toBe(0);
  },
);

test('https to an http port, and an unknown certificate, are reported at once', { timeout: 30_000 }, async () => {
  const client = await makeClient(service.url.replace('http:', 'https:'));
  const plain = await client.run(['list']);
  expect([plain.exitCode, plain.stderr]).toEqual([1, expect.stringContaining('does not speak https')]);
  const { key, cert } = makeSelfSigned(10);
  const server = createTlsServer({ key, cert }, (_, answer) => answer.end());
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const unknown = await client.run(['list', '--server', `https://127.0.0.1:${port}`]);
  expect([unknown.exitCode, unknown.stderr]).toEqual([1, expect.stringContaining('NODE_EXTRA_CA_CERTS')]);
});

test('an answer without TLS ends nothing once the service has answered by TLS', async () => {
  const { key, cert } = makeSelfSigned(10);
  let answered = 0;
  const secure = createTlsServer({ key, cert }, (_, answer) => {
    answered += 1;
    answer.setHeader('Connection', 'close');
    answer.end(
      JSON.stringify({
        files: [{ id: 'a', name: 'a', size: 1, uploadedAt: '' }],
        nextCursor: answered === 1 ? 'b' : null,
      }),
    );
  });
  const securePort = await listening(secure as unknown as Server);
  let connections = 0;
  const line = createLine((socket) => {
    connections += 1;
    socket.on('error', () => {});
    // As from a connection that damages bytes.
    if (connections === 2) {
      socket.end('no record of TLS');
      return;
    }
    const onward = connect(securePort, '127.0.0.1');
    onward.on('error', () => socket.destroy());
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => {
    line.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => void line.close());
  const client = await makeClient(`https://127.0.0.1:${(line.address() as AddressInfo).port}`);
  const result = await client.run(['list', '--json'], { NODE_TLS_REJECT_UNAUTHORIZED: '0' });
  expect([result.exitCode, result.records().length, connections], result.stderr).toEqual([0, 2, 3]);
});

test('a proxy that takes no large request is named with the flag that helps', async () => {
  const url = await makeInterceptor(service.url, ({ method }) => (method === 'PATCH' ? { status: 413 } : null));
  const client = await makeClient(url);
  const path = await client.makeFile('large.bin', 600_000);
  const result = await client.run(['upload', path]);
  expect([result.exitCode, result.stderr]).toEqual([1, expect.stringContaining('--chunk-size')]);
});

test.each([500, 425, 520, 524, 530])('%i from a proxy in front of the service is retried', async (status) => {
  let refusals = 2;
  const url = await makeInterceptor(service.url, ({ method }) =>
    method !== 'GET' && refusals-- > 0 ? { status } : null,
  );
  const client = await makeClient(url);
  const path = await client.makeFile(`waited-${status}.bin`, 1_000);
  expect(await client.run(['upload', path])).toMatchObject({ exitCode: 0 });
});

test.each([405, 501])(
  'where PATCH and HEAD are answered with %i, POST says them',
  { timeout: 30_000 },
  async (status) => {
    const seen: string[] = [];
    const url = await makeInterceptor(service.url, ({ method = '' }: IncomingMessage) => {
      seen.push(method);
      return method === 'PATCH' || method === 'HEAD' ? { status } : null;
    });
    const client = await makeClient(url);
    const path = await client.makeFile(`overridden-${status}.bin`, 600_000);
    // Another method is no failure, for which the command would have to be patient.
    const result = await client.run(['upload', '--chunk-size', '250000', '--retry-for', '0', path]);
    expect(result).toMatchObject({ exitCode: 0 });
    expect(seen.filter((method) => method === 'PATCH' || method === 'HEAD').length).toBeLessThan(3);
  },
);

test('where HEAD alone is answered with 405, POST asks for the offset', async () => {
  const seen: string[] = [];
  const url = await makeInterceptor(service.url, ({ method = '', url: path = '', headers }: IncomingMessage) => {
    if (!path.startsWith('/uploads/')) return null;
    const meant = headers['x-http-method-override'];
    seen.push(meant === undefined ? method : `${method} for ${meant.toString()}`);
    if (method === 'HEAD') return { status: 405 };
    // The second chunk breaks off.
    return method === 'PATCH' && seen.length === 2 ? { status: 503 } : null;
  });
  const client = await makeClient(url);
  const path = await client.makeFile('asked.bin', 600_000);
  const result = await client.run(['upload', '--chunk-size', '300000', path]);
  expect(result, result.stderr).toMatchObject({ exitCode: 0 });
  expect(seen).toEqual(['PATCH', 'PATCH', 'HEAD', 'POST for HEAD', 'POST for PATCH']);
});

test.each([
  ['http://192.0.2.7:8080', 'HTTP_PROXY'],
  ['https://192.0.2.7', 'HTTPS_PROXY'],
])('a proxy on the way to %s that is not there is what is named', async (server, variable) => {
  const proxy = `127.0.0.1:${await freePort()}`;
  const client = await makeClient(server);
  const env = { [variable]: `http://me:secret@${proxy}` };
  const { exitCode, stderr } = await client.start(['list', '--retry-for', '0'], { env }).done;
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining(`there is no proxy at ${proxy}`)]);
  expect(stderr).not.toContain('secret');
});

test('a server that redirects is named without the query of the request', async () => {
  const location = 'https://files.example.org/check?md5=00&secret=1';
  const server = createServer((_, answer) => answer.writeHead(308, { Location: location }).end());
  const client = await makeClient(`http://127.0.0.1:${await listening(server)}`);
  const { exitCode, stderr } = await client.run(['list']);
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('sends us to https://files.example.org/check;')]);
  expect(stderr).not.toContain('secret');
});

test('a store that cannot be reached is named, not the service that redirects to it', async () => {
  const store = `http://127.0.0.1:${await freePort()}`;
  const about = { id: 'abc', name: 'a.txt', size: 3, md5: '0'.repeat(32), type: null, uploadedAt: '', url: '' };
  const server = createServer(({ url }, answer) => {
    if (url === '/api/files/abc') {
      answer.end(JSON.stringify({ ...about, url: '/api/files/abc/content' }));
      return;
    }
    answer.writeHead(302, { Location: `${store}/bucket/key?X-Amz-Signature=secret` }).end();
  });
  const client = await makeClient(`http://127.0.0.1:${await listening(server)}`);
  const { exitCode, stderr } = await client.run(['get', 'abc', '--retry-for', '0']);
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining(`its store, ${store}: connection refused`)]);
  expect(stderr).not.toContain('secret');
});
