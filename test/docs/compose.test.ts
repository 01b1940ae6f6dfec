/** What docker-compose.yml says of its Ceph, compared with the script that runs in it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parseConfig } from '../../server/config/parse.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

test('the settings for its Ceph are those of the script, at an address that the other container knows', async () => {
  const [compose, script, image] = await Promise.all(
    ['docker-compose.yml', 'scripts/ceph/rgw.sh', 'scripts/ceph/Dockerfile'].map((path) =>
      readFile(join(ROOT, path), 'utf8'),
    ),
  );
  const env = Object.fromEntries(
    [...(compose ?? '').matchAll(/^ +# +([A-Z][A-Z0-9_]*)=(\S+)$/gm)].map((m) => [m[1], m[2]]),
  );
  const { store } = parseConfig(env);
  // Its own value, or what a variable is by default.
  const made = (name: string): string | undefined =>
    new RegExp(`^${name}=(?:\\$\\{\\w+:-)?([^\\s}]+)\\}?$`, 'm').exec(script ?? '')?.[1];
  expect(store).toMatchObject({
    kind: 'ceph',
    bucket: made('bucket'),
    accessKeyId: made('access_key'),
    secretAccessKey: made('secret_key'),
  });
  const { hostname, port } = new URL(env['S3_ENDPOINT'] ?? '');
  // A service of the file is a host name to the others.
  expect(compose).toMatch(new RegExp(`^ {2}${hostname}:$`, 'm'));
  expect(/RGW_PORT=(\d+)/.exec(image ?? '')?.[1]).toBe(port);
});
