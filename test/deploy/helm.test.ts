/** The chart in deploy/helm. Without helm only what its files say is looked at. */
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../server/config/parse.ts';
import { isHere } from '../harness/needs.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CHART = `${ROOT}deploy/helm/tidemark`;

const HAS_HELM = isHere(
  spawnSync('helm', ['version']).status === 0,
  'no helm here: `.ci/helm FOLDER` puts one into a folder; add that to PATH',
);

const NODES = [
  'replicas=3',
  'database.existingSecret=db',
  'store.kind=ceph',
  'store.endpoint=https://rgw.example.org',
  'store.bucket=uploads',
  'store.existingSecret=keys',
  'auth.existingSecret=tokens',
];

function helm(...args: string[]): { status: number | null; out: string } {
  const { status, stdout, stderr } = spawnSync('helm', args, { encoding: 'utf8' });
  return { status, out: stdout + stderr };
}

function template(...settings: string[]): { status: number | null; out: string } {
  return helm('template', 'release', CHART, ...settings.flatMap((setting) => ['--set', setting]));
}

/** The settings of the container, with those of secrets made up. */
function settingsOf(manifest: string): Record<string, string> {
  const secrets: Record<string, string> = {
    AUTH_TOKENS: 'anna:annas-secret-1',
    DATABASE_URL: 'postgres://tidemark@db.example/tidemark',
  };
  const found = [...manifest.matchAll(/- name: ([A-Z][A-Z0-9_]*)\n\s+(?:value: ["']?(.*?)["']?|valueFrom:)$/gm)];
  return Object.fromEntries(found.map(([, name = '', value]) => [name, value ?? secrets[name] ?? 'from-a-secret']));
}

test('names only settings that there are, and takes secrets by reference alone', async () => {
  const [example, deployment] = await Promise.all([
    readFile(`${ROOT}.env.example`, 'utf8'),
    readFile(`${CHART}/templates/deployment.yaml`, 'utf8'),
  ]);
  const named = [...deployment.matchAll(/- name: ([A-Z][A-Z0-9_]*)$/gm)].map(([, name = '']) => name);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((name) => name !== 'AUTH' && !example.includes(`#${name}=`))).toEqual([]);
  for (const name of ['AUTH_TOKENS', 'DATABASE_URL', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY']) {
    expect(deployment).toMatch(new RegExp(`- name: ${name}\\n\\s+valueFrom:\\n\\s+secretKeyRef:`));
  }
});

describe.skipIf(!HAS_HELM)('helm', () => {
  test.each([
    ['one node', ['auth.existingSecret=tokens']],
    ['nodes', NODES],
  ])('has nothing to say against the chart of %s', (_, settings) => {
    const { status, out } = helm('lint', '--strict', CHART, ...settings.flatMap((setting) => ['--set', setting]));
    expect(status, out).toBe(0);
  });

  test('one node with SQLite: on a volume, and replaced only once it has ended', () => {
    const { status, out } = template('auth.existingSecret=tokens');
    expect(status, out).toBe(0);
    expect(out).toMatch(/type: Recreate/);
    expect(out).toMatch(/kind: PersistentVolumeClaim/);
    expect(out).not.toMatch(/PodDisruptionBudget|Ingress|preStop/);
    expect(out).toMatch(/terminationGracePeriodSeconds: 25$/m);
    expect(parseConfig(settingsOf(out))).toMatchObject({ database: { kind: 'sqlite' }, store: { kind: 'local' } });
  });

  test('nodes with PostgreSQL and a bucket: no volume, a budget, an ingress that streams', () => {
    const { status, out } = template(
      ...NODES,
      'services={uploads,worker}',
      'workers=2',
      'ingress.enabled=true',
      'ingress.host=f.example',
    );
    expect(status, out).toBe(0);
    expect(out).toMatch(/replicas: 3/);
    expect(out).toMatch(/kind: PodDisruptionBudget/);
    expect(out).toMatch(/proxy-request-buffering: "off"/);
    expect(out).not.toMatch(/PersistentVolumeClaim|volumeMounts/);
    expect(parseConfig(settingsOf(out))).toMatchObject({
      database: { kind: 'postgres' },
      store: { kind: 'ceph', bucket: 'uploads' },
      services: ['uploads', 'worker'],
      workers: 2,
    });
  });

  test('a pod has the time that its node takes to stop', () => {
    const { status, out } = template(...NODES, 'stop.pauseSeconds=7', 'stop.transfersSeconds=60');
    expect(status, out).toBe(0);
    expect(out).toMatch(/preStop:\n\s+exec:\n\s+command: \[sleep, "7"\]/);
    expect(out).toMatch(/terminationGracePeriodSeconds: 82$/m);
    expect(parseConfig(settingsOf(out)).shutdownTimeoutMs).toBe(60_000);
    expect(template(...NODES, 'stop.pauseSeconds=0').out).not.toMatch(/preStop/);
  });

  test.each([
    [['auth.existingSecret=tokens', 'replicas=2'], 'replicas: more than one need PostgreSQL'],
    [[...NODES, 'store.kind=local'], 'replicas: more than one need PostgreSQL'],
    [['auth.existingSecret=tokens', 'workers=2'], 'workers: more than one need PostgreSQL'],
    [[], 'auth.existingSecret: name a secret'],
    [[...NODES, 'env.SHUTDOWN_TIMEOUT=60s'], 'env.SHUTDOWN_TIMEOUT: set stop.transfersSeconds'],
    [[...NODES, 'store.existingSecret='], 'store.existingSecret: name a secret'],
  ])('refuses %s', (settings, sentence) => {
    const { status, out } = template(...settings);
    expect(status).not.toBe(0);
    expect(out).toContain(sentence);
  });
});
