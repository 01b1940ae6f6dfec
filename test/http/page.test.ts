import { gunzipSync, brotliDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningService, startService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';

let service: RunningService;
beforeAll(async () => {
  service = await startService({ env: { AUTH_TOKENS: 'anna:annas-secret-1', TRUST_PROXY: 'loopback' } });
});
afterAll(() => service.stop());

async function assets(headers: Record<string, string> = {}): Promise<string[]> {
  const { body } = await send('GET', `${service.url}/`, { headers });
  return [...body.matchAll(/="([^"]*\/assets\/[^"]+)"/g)].map((match) => match[1] ?? '');
}

describe('the page', () => {
  test('it is open to all, never cached, and its policy allows nothing from other origins and nothing inline', async () => {
    const answer = await send('GET', `${service.url}/`);
    expect(answer.status).toBe(200);
    expect(answer.headers['cache-control']).toBe('no-store');
    const policy = String(answer.headers['content-security-policy']);
    const [, nonce = ''] = /^default-src 'none'; script-src 'nonce-([\w+/]{22}==)'; /.exec(policy) ?? [];
    expect(policy).toContain(`; style-src 'nonce-${nonce}'; `);
    const named = [
      ...answer.body.matchAll(/<(script|link rel="stylesheet") nonce="([^"]+)"[^>]* (?:src|href)="\/assets\//g),
    ];
    expect(named.map(([, tag, own]) => [tag, own])).toEqual([
      ['script', nonce],
      ['link rel="stylesheet"', nonce],
    ]);
    expect(answer.body.match(/<script|"stylesheet"/g)).toHaveLength(named.length);
    expect((await send('GET', `${service.url}/`)).body).not.toContain(nonce);
    expect(answer.headers['content-security-policy']).not.toMatch(/unsafe|https?:|data:|\*/);
    expect(answer.body).not.toMatch(/<script(?![^>]* src=)|<style| style=| on\w+=|https?:\/\//);
    expect((await send('HEAD', `${service.url}/`)).status).toBe(200);
  });

  test('assets have names that change with them, are kept for a year, and come compressed', async () => {
    const paths = await assets();
    expect(paths.length).toBeGreaterThan(2);
    for (const path of paths) {
      expect(path).toMatch(/^\/assets\/[\w-]+-[\w-]{8}\.(?:js|css|svg)$/);
      const plain = await fetch(service.url + path, { headers: { 'Accept-Encoding': 'identity' } });
      const bytes = Buffer.from(await plain.arrayBuffer());
      expect(plain.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
      expect(plain.headers.get('vary')).toContain('Accept-Encoding');
      for (const [encoding, unpack] of [
        ['br', brotliDecompressSync],
        ['gzip', gunzipSync],
      ] as const) {
        const packed = await new Promise<{ encoding: string | undefined; bytes: Buffer }>((resolve, reject) => {
          void import('node:http').then(({ get }) =>
            get(service.url + path, { headers: { 'Accept-Encoding': encoding } }, (response) => {
              const chunks: Buffer[] = [];
              response.on('data', (chunk: Buffer) => chunks.push(chunk));
              response.on('end', () =>
                resolve({ encoding: response.headers['content-encoding'], bytes: Buffer.concat(chunks) }),
              );
            }).on('error', reject),
          );
        });
        expect(packed.encoding).toBe(encoding);
        expect(unpack(packed.bytes)).toEqual(bytes);
      }
    }
  });

  test('below a path of a proxy, assets and form are there too', async () => {
    const forwarded = {
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': 'files.example',
      'X-Forwarded-Prefix': '/tide',
    };
    for (const path of await assets(forwarded)) expect(path).toMatch(/^\/tide\/assets\//);
    const { body } = await send('GET', `${service.url}/file/upload`, { headers: forwarded });
    expect(body).toContain('action="/tide/file/upload"');
  });

  test.each(['/assets/', '/assets/nothing.js', '/assets/..%2findex.html', '/assets/%2e%2e%2f%2e%2e%2fpackage.json'])(
    '%s is nothing',
    async (path) => {
      const answer = await send('GET', service.url + path, { rawPath: path });
      expect([answer.status, answer.code]).toEqual([404, 'not_found']);
      expect(answer.headers['cache-control']).toBe('no-store');
    },
  );
});
