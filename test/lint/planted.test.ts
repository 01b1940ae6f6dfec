import { execFile } from 'node:child_process';
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { makeTempFolder } from '../harness/temp-folder.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

interface Finding {
  code: string;
  filename: string;
  message: string;
  help?: string;
}

/** Runs the project's linter over files planted in a folder of their own. */
async function lint(files: Record<string, string>): Promise<Finding[]> {
  const folder = await makeTempFolder();
  await Promise.all([
    copyFile(join(ROOT, '.oxlintrc.json'), join(folder, '.oxlintrc.json')),
    copyFile(join(ROOT, 'tsconfig.json'), join(folder, 'tsconfig.json')),
    copyFile(join(ROOT, 'package.json'), join(folder, 'package.json')),
    symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules')),
  ]);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  const stdout = await new Promise<string>((resolve) => {
    execFile(
      process.execPath,
      [join(ROOT, 'node_modules/oxlint/bin/oxlint'), '--type-aware', '--format', 'json', '.'],
      { cwd: folder, maxBuffer: 16 * 1024 * 1024 },
      (_error, output) => resolve(output),
    );
  });
  return (JSON.parse(stdout) as { diagnostics: Finding[] }).diagnostics;
}

/** Who may not import whom, and a word of the reason. */
const FORBIDDEN: [from: string, to: string, reason: string][] = [
  ['server/catalog/a.ts', 'server/uploads/target.ts', 'lowest layer'],
  ['server/catalog/b.ts', 'server/http/target.ts', 'lowest layer'],
  ['server/catalog/c.ts', 'server/protocols/tus/target.ts', 'lowest layer'],
  ['server/catalog/d.ts', 'server/config/target.ts', 'lowest layer'],
  ['server/catalog/e.ts', 'server/leases/target.ts', 'lowest layer'],
  ['server/catalog/f.ts', 'stores/target.ts', 'lowest layer'],
  ['server/catalog/g.ts', 'server/log.ts', 'by their errors'],
  ['server/catalog/h.ts', 'server/service.ts', 'one way'],
  ['server/catalog/queries/a.ts', 'server/uploads/target.ts', 'lowest layer'],
  ['server/catalog/sqlite/a.ts', 'server/uploads/target.ts', 'lowest layer'],
  ['server/catalog/sqlite/b.ts', 'server/main.ts', 'one way'],
  ['server/leases/a.ts', 'server/catalog/sqlite/target.ts', 'contract alone'],
  ['server/leases/b.ts', 'server/uploads/target.ts', 'contract alone'],
  ['server/leases/c.ts', 'server/http/target.ts', 'contract alone'],
  ['server/leases/d.ts', 'server/config/target.ts', 'contract alone'],
  ['server/leases/e.ts', 'stores/target.ts', 'contract alone'],
  ['server/leases/f.ts', 'server/jobs/target.ts', 'one way'],
  ['server/leases/g.ts', 'server/service.ts', 'one way'],
  ['stores/a.ts', 'server/uploads/target.ts', 'lowest layer'],
  ['stores/local/a.ts', 'server/catalog/target.ts', 'lowest layer'],
  ['stores/local/b.ts', 'server/config/target.ts', 'lowest layer'],
  ['stores/local/c.ts', 'server/log.ts', 'lowest layer'],
  ['server/uploads/a.ts', 'server/http/target.ts', 'how it is asked'],
  ['server/uploads/b.ts', 'server/protocols/tus/target.ts', 'how it is asked'],
  ['server/uploads/c.ts', 'server/catalog/sqlite/target.ts', 'dialect'],
  ['server/uploads/h.ts', 'server/refusal.ts', 'how it is asked'],
  ['server/uploads/i.ts', 'server/wire/addresses.ts', 'rule of names'],
  ['server/jobs/e.ts', 'server/refusal.ts', 'how it is asked'],
  ['server/leases/i.ts', 'server/refusal.ts', 'contract alone'],
  ['server/outbox/i.ts', 'server/refusal.ts', 'what the catalog has recorded'],
  ['server/catalog/k.ts', 'server/refusal.ts', 'lowest layer'],
  ['server/catalog/queries/c.ts', 'server/refusal.ts', 'lowest layer'],
  ['server/uploads/d.ts', 'stores/local/target.ts', 'which stores there are'],
  ['server/uploads/e.ts', 'server/service.ts', 'one way'],
  ['server/uploads/e2.ts', 'server/service-parts.ts', 'one way'],
  ['server/uploads/g.ts', 'server/jobs/target.ts', 'one way'],
  ['server/jobs/a.ts', 'server/http/target.ts', 'how it is asked'],
  ['server/jobs/b.ts', 'server/catalog/sqlite/target.ts', 'dialect'],
  ['server/jobs/c.ts', 'server/service.ts', 'one way'],
  ['server/jobs/d.ts', 'stores/local/target.ts', 'which stores there are'],
  ['server/http/g.ts', 'server/jobs/target.ts', 'one way'],
  ['server/catalog/j.ts', 'server/outbox/target.ts', 'lowest layer'],
  ['server/catalog/queries/b.ts', 'server/outbox/target.ts', 'lowest layer'],
  ['server/leases/h.ts', 'server/outbox/target.ts', 'contract alone'],
  ['server/config/f.ts', 'server/outbox/target.ts', 'none of the parts'],
  ['server/doctor/e.ts', 'server/outbox/target.ts', 'entry of its own'],
  ['server/outbox/a.ts', 'server/uploads/target.ts', 'what the catalog has recorded'],
  ['server/outbox/b.ts', 'server/http/target.ts', 'what the catalog has recorded'],
  ['server/outbox/c.ts', 'server/protocols/tus/target.ts', 'what the catalog has recorded'],
  ['server/outbox/d.ts', 'server/leases/target.ts', 'what the catalog has recorded'],
  ['server/outbox/e.ts', 'server/log.ts', 'what the catalog has recorded'],
  ['server/outbox/f.ts', 'server/catalog/sqlite/target.ts', 'dialect'],
  ['server/outbox/g.ts', 'stores/target.ts', 'no bytes'],
  ['server/outbox/h.ts', 'server/service.ts', 'one way'],
  ['server/http/a.ts', 'server/protocols/tus/target.ts', 'siblings'],
  ['server/http/b.ts', 'server/catalog/sqlite/target.ts', 'never rows'],
  ['server/http/h.ts', 'server/catalog/target.ts', 'never rows'],
  ['server/http/c.ts', 'server/leases/target.ts', 'through uploads'],
  ['server/http/d.ts', 'stores/local/target.ts', 'which stores there are'],
  ['server/http/e.ts', 'server/service.ts', 'one way'],
  ['server/http/routes/a.ts', 'server/protocols/tus/target.ts', 'siblings'],
  ['server/protocols/tus/a.ts', 'server/http/target.ts', 'siblings'],
  ['server/protocols/tus/b.ts', 'server/catalog/sqlite/target.ts', 'never rows'],
  ['server/protocols/tus/e.ts', 'server/catalog/target.ts', 'never rows'],
  ['server/protocols/tus/c.ts', 'stores/local/target.ts', 'which stores there are'],
  ['server/protocols/tus/d.ts', 'server/main.ts', 'one way'],
  ['server/protocols/tus/f.ts', 'server/protocols/rufh/target.ts', 'do not know each other'],
  ['server/protocols/rufh/a.ts', 'server/protocols/tus/target.ts', 'do not know each other'],
  ['server/protocols/rufh/b.ts', 'server/http/target.ts', 'siblings'],
  ['server/protocols/rufh/c.ts', 'server/catalog/target.ts', 'never rows'],
  ['server/protocols/a.ts', 'server/protocols/tus/target.ts', 'knows none of them'],
  ['server/protocols/b.ts', 'server/http/target.ts', 'siblings'],
  ['server/config/a.ts', 'server/uploads/target.ts', 'none of the parts'],
  ['server/config/b.ts', 'server/catalog/target.ts', 'none of the parts'],
  ['server/config/c.ts', 'stores/target.ts', 'names of digests'],
  ['server/config/d.ts', 'server/log.ts', 'the log is made from'],
  ['server/service.ts', 'server/main.ts', 'main starts the service'],
  ['server/service-parts.ts', 'server/main.ts', 'main starts the service'],
  ['server/http/f.ts', 'server/doctor/target.ts', 'one way'],
  ['server/catalog/i.ts', 'server/doctor/target.ts', 'one way'],
  ['stores/d.ts', 'server/doctor/target.ts', 'lowest layer'],
  ['server/doctor/a.ts', 'server/uploads/target.ts', 'entry of its own'],
  ['server/doctor/h.ts', 'server/admin/target.ts', 'entry of its own'],
  ['server/http/g.ts', 'server/admin/target.ts', 'one way'],
  ['server/catalog/j.ts', 'server/admin/target.ts', 'one way'],
  ['stores/f.ts', 'server/admin/target.ts', 'lowest layer'],
  ['server/service-places.ts', 'server/admin/target.ts', 'main starts the service'],
  ['client/cli/g.ts', 'server/admin/target.ts', 'HTTP only'],
  ['server/admin/a.ts', 'server/uploads/target.ts', 'while none runs'],
  ['server/admin/b.ts', 'server/service.ts', 'while none runs'],
  ['server/admin/c.ts', 'server/http/target.ts', 'while none runs'],
  ['server/admin/d.ts', 'server/doctor/target.ts', 'while none runs'],
  ['server/admin/e.ts', 'server/catalog/sqlite/target.ts', 'by contracts'],
  ['server/admin/f.ts', 'stores/local/target.ts', 'by contracts'],
  ['server/admin/g.ts', 'stores/memory/target.ts', 'by contracts'],
  ['server/admin/h.ts', 'server/wire/target.ts', 'no lower layer'],
  ['server/doctor/b.ts', 'server/service.ts', 'entry of its own'],
  ['server/doctor/c.ts', 'server/http/target.ts', 'entry of its own'],
  ['server/doctor/e.ts', 'server/catalog/sqlite/target.ts', 'contract of a section'],
  ['server/doctor/f.ts', 'stores/s3/doctor/target.ts', 'contract of a section'],
  ['server/doctor/g.ts', 'stores/local/target.ts', 'contract of a section'],
  ['stores/s3/doctor/a.ts', 'server/doctor/target.ts', 'lowest layer'],
  ['stores/local/doctor.ts', 'server/doctor/target.ts', 'lowest layer'],
  ['server/catalog/sqlite/c.ts', 'stores/local/target.ts', 'lowest layer'],
  ['server/service.ts', 'server/catalog/sqlite/target.ts', 'catalogs.ts alone'],
  ['server/service-places.ts', 'server/catalog/sqlite/target.ts', 'catalogs.ts alone'],
  ['server/service-places.ts', 'stores/local/target.ts', 'stores.ts alone'],
  ['server/log.ts', 'stores/s3/target.ts', 'stores.ts alone'],
  ['server/belonging.ts', 'server/catalog/sqlite/target.ts', 'catalogs.ts alone'],
  ['server/belonging.ts', 'stores/local/target.ts', 'stores.ts alone'],
  ['stores/stores.ts', 'stores/memory/target.ts', 'for tests and simulations'],
  ['stores/local/d.ts', 'stores/memory/target.ts', 'for tests and simulations'],
  ['server/belonging.ts', 'stores/memory/target.ts', 'stores.ts alone'],
  ['server/log.ts', 'stores/memory/target.ts', 'stores.ts alone'],
  ['server/doctor/d.ts', 'stores/memory/target.ts', 'contract of a section'],
  ['server/uploads/f.ts', 'stores/memory/target.ts', 'which stores there are'],
  ['server/config/e.ts', 'stores/memory/target.ts', 'names of digests'],
  ['client/cli/a.ts', 'server/uploads/target.ts', 'HTTP only'],
  ['client/cli/e.ts', 'server/doctor/target.ts', 'HTTP only'],
  ['client/cli/b.ts', 'stores/target.ts', 'HTTP only'],
  ['client/cli/c.ts', 'scripts/target.ts', 'HTTP only'],
  ['client/cli/d.ts', 'test/target.ts', 'HTTP only'],
  ['client/web/src/a.ts', 'server/uploads/target.ts', 'HTTP only'],
  ['client/cli/f.ts', 'client/web/src/target.ts', 'siblings'],
  ['client/web/src/b.ts', 'client/cli/target.ts', 'siblings'],
  ['client/web/src/c.ts', 'stores/target.ts', 'HTTP only'],
  ['client/core/a.ts', 'client/cli/target.ts', 'policy of a client'],
  ['client/core/b.ts', 'client/web/src/target.ts', 'policy of a client'],
  ['client/core/c.ts', 'server/uploads/target.ts', 'policy of a client'],
  ['client/core/d.ts', 'test/target.ts', 'policy of a client'],
  ['server/catalog/j.ts', 'server/wire/target.ts', 'no lower layer'],
  ['server/catalog/sqlite/c.ts', 'server/wire/target.ts', 'no lower layer'],
  ['server/leases/w.ts', 'server/wire/target.ts', 'no lower layer'],
  ['server/config/f.ts', 'server/wire/target.ts', 'no lower layer'],
  ['server/doctor/e.ts', 'server/wire/target.ts', 'no lower layer'],
  ['stores/e.ts', 'server/wire/target.ts', 'lowest layer'],
  ['server/links/a.ts', 'server/http/target.ts', 'how they are opened'],
  ['server/links/b.ts', 'server/protocols/tus/target.ts', 'how they are opened'],
  ['server/links/c.ts', 'server/catalog/sqlite/target.ts', 'dialect'],
  ['server/links/d.ts', 'server/wire/addresses.ts', 'rules of names'],
  ['server/links/e.ts', 'server/leases/target.ts', 'files and the catalog alone'],
  ['server/links/f.ts', 'server/jobs/target.ts', 'one way'],
  ['server/links/g.ts', 'stores/local/target.ts', 'which stores there are'],
  ['server/uploads/l.ts', 'server/links/target.ts', 'above the domain'],
  ['server/catalog/l.ts', 'server/links/target.ts', 'lowest layer'],
  ['server/catalog/queries/l.ts', 'server/links/target.ts', 'lowest layer'],
  ['server/leases/l.ts', 'server/links/target.ts', 'contract alone'],
  ['server/outbox/l.ts', 'server/links/target.ts', 'what the catalog has recorded'],
  ['server/config/l.ts', 'server/links/target.ts', 'none of the parts'],
  ['server/doctor/l.ts', 'server/links/target.ts', 'entry of its own'],
  ['server/admin/l.ts', 'server/links/target.ts', 'while none runs'],
  ['server/zip/a.ts', 'server/uploads/target.ts', 'format of archives'],
  ['server/zip/b.ts', 'server/wire/labels.ts', 'format of archives'],
  ['server/wire/a.ts', 'server/uploads/target.ts', 'shared with browsers'],
  ['server/wire/b.ts', 'server/log.ts', 'shared with browsers'],
  ['server/wire/c.ts', 'stores/target.ts', 'shared with browsers'],
  ['server/wire/d.ts', 'client/core/target.ts', 'shared with browsers'],
  ...[
    'server/catalog',
    'server/leases',
    'server/jobs',
    'server/links',
    'server/outbox',
    'server/uploads',
    'server/http',
    'server/protocols',
    'server/protocols/tus',
    'server/protocols/rufh',
    'server/config',
    'server/doctor',
    'server/admin',
    'stores',
  ].flatMap((folder): [string, string, string][] => [
    [`${folder}/x.ts`, 'client/target.ts', 'its clients'],
    [`${folder}/y.ts`, 'scripts/target.ts', 'its clients'],
    [`${folder}/z.ts`, 'test/target.ts', 'its clients'],
  ]),
];

const ALLOWED: [from: string, to: string][] = [
  ['server/main.ts', 'server/service.ts'],
  ['server/outbox/i.ts', 'server/catalog/target.ts'],
  ['server/outbox/j.ts', 'stores/surroundings.ts'],
  ['server/http/h.ts', 'server/outbox/target.ts'],
  ['server/jobs/h.ts', 'server/outbox/target.ts'],
  ['server/service.ts', 'server/http/target.ts'],
  ['server/service.ts', 'server/protocols/tus/target.ts'],
  ['server/service-places.ts', 'server/catalog/catalogs.ts'],
  ['server/service-parts.ts', 'stores/digests/target.ts'],
  ['server/service-places.ts', 'stores/stores.ts'],
  ['server/http/a.ts', 'server/uploads/target.ts'],
  ['server/http/b.ts', 'server/config/target.ts'],
  ['server/http/l.ts', 'server/links/target.ts'],
  ['server/links/a.ts', 'server/uploads/target.ts'],
  ['server/links/b.ts', 'server/catalog/target.ts'],
  ['server/links/c.ts', 'server/wire/labels.ts'],
  ['server/jobs/l.ts', 'server/links/target.ts'],
  ['server/protocols/tus/a.ts', 'server/uploads/target.ts'],
  ['server/uploads/a.ts', 'server/catalog/target.ts'],
  ['server/uploads/b.ts', 'server/leases/target.ts'],
  ['server/uploads/c.ts', 'stores/target.ts'],
  ['server/leases/b.ts', 'server/catalog/target.ts'],
  ['server/jobs/a.ts', 'server/uploads/target.ts'],
  ['server/jobs/b.ts', 'server/leases/target.ts'],
  ['server/uploads/d.ts', 'stores/digests/target.ts'],
  ['server/uploads/e.ts', 'server/config/target.ts'],
  ['server/config/a.ts', 'stores/digests/digests.ts'],
  ['server/leases/a.ts', 'stores/surroundings.ts'],
  ['server/catalog/sqlite/a.ts', 'server/catalog/target.ts'],
  ['stores/stores.ts', 'stores/local/target.ts'],
  ['stores/local/a.ts', 'stores/digests/target.ts'],
  ['server/doctor/a.ts', 'server/config/target.ts'],
  ['server/admin/a.ts', 'server/catalog/target.ts'],
  ['server/admin/a.ts', 'stores/target.ts'],
  ['server/admin/b.ts', 'stores/digests/target.ts'],
  ['server/doctor/b.ts', 'server/catalog/catalogs.ts'],
  ['server/doctor/c.ts', 'stores/section.ts'],
  ['server/catalog/catalogs.ts', 'server/catalog/sqlite/target.ts'],
  ['server/catalog/sqlite/d.ts', 'stores/section.ts'],
  ['stores/s3/doctor/b.ts', 'stores/section.ts'],
  ['server/http/e.ts', 'server/wire/target.ts'],
  ['server/protocols/tus/b.ts', 'server/wire/target.ts'],
  ['server/uploads/f.ts', 'server/wire/labels.ts'],
  ['server/http/i.ts', 'server/refusal.ts'],
  ['server/protocols/tus/c.ts', 'server/refusal.ts'],
  ['server/wire/a.ts', 'server/wire/target.ts'],
  ['client/cli/a.ts', 'server/wire/target.ts'],
  ['client/cli/b.ts', 'client/core/target.ts'],
  ['client/web/src/a.ts', 'server/wire/target.ts'],
  ['client/web/src/b.ts', 'client/core/target.ts'],
  ['client/core/a.ts', 'server/wire/target.ts'],
  ['scripts/a.ts', 'server/service.ts'],
  ['stores/memory/a.ts', 'stores/target.ts'],
  ['stores/memory/b.ts', 'stores/memory/target.ts'],
  ['test/a.ts', 'stores/local/target.ts'],
  ['test/b.ts', 'stores/memory/target.ts'],
];

/** The files of these imports, each written as a person would write it, from the importing file. */
function plant(edges: readonly [from: string, to: string, ...unknown[]][]): Record<string, string> {
  const targets = edges.map(([, to]) => [to, 'export const target = 1;\n'] as const);
  const sources: Record<string, string> = {};
  for (const [at, [from, to]] of edges.entries()) {
    const path = relative(dirname(from), to);
    const specifier = path.startsWith('.') ? path : `./${path}`;
    sources[from] = `import { target as target${at} } from '${specifier}';\n${sources[from] ?? ''}`;
    sources[from] += `export const planted${at} = target${at};\n`;
  }
  return { ...Object.fromEntries(targets), ...sources };
}

function layerFindings(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ code }) => code.includes('no-restricted-imports'));
}

test('every forbidden way of imports is found, with the reason', async () => {
  const findings = layerFindings(await lint(plant(FORBIDDEN)));
  const planted = FORBIDDEN.map(([from, to, reason]) => {
    const isFound = findings.some((each) => each.filename === from && `${each.message} ${each.help}`.includes(reason));
    return `${from} -> ${to}: ${isFound ? reason : 'not found'}`;
  });
  expect(planted).toEqual(FORBIDDEN.map(([from, to, reason]) => `${from} -> ${to}: ${reason}`));
  expect(findings).toHaveLength(FORBIDDEN.length);
});

test('types, re-exports and imports at run time are held to the layers, too', async () => {
  const findings = await lint({
    'server/http/target.ts': 'export type Target = string;\nexport const target = 1;\n',
    'server/uploads/type.ts': "import type { Target } from '../http/target.ts';\nexport const planted: Target = '';\n",
    'server/uploads/re-export.ts': "export { target } from '../http/target.ts';\n",
    'server/uploads/late.ts': "export const planted = await import('../http/target.ts');\n",
  });
  expect(
    layerFindings(findings)
      .map(({ filename }) => filename)
      .toSorted(),
  ).toEqual(['server/uploads/late.ts', 'server/uploads/re-export.ts', 'server/uploads/type.ts']);
});

test('a function that is longer than 70 lines is found; blank lines and comments do not count, and tests may have them', async () => {
  const long = (lines: number): string =>
    `export function planted(): number {\n  let a = 0;\n${'  a++;\n\n  // One more.\n'.repeat(lines - 4)}  return a;\n}\n`;
  const folders = [
    'server',
    'server/catalog/queries',
    'server/protocols',
    'server/protocols/tus',
    'server/protocols/rufh',
    'server/uploads',
    'stores',
    'stores/digests',
    'stores/local',
    'stores/memory',
    'stores/s3',
    'client/cli',
    'client/core',
    'client/web/src',
    'scripts',
    'scripts/bench',
  ];
  const findings = await lint({
    ...Object.fromEntries(folders.map((folder) => [`${folder}/long.ts`, long(71)])),
    ...Object.fromEntries(folders.map((folder) => [`${folder}/short.ts`, long(70)])),
    'test/long.ts': long(71),
  });
  expect(findings.map(({ code, filename }) => `${filename}: ${code}`).toSorted()).toEqual(
    folders.map((folder) => `${folder}/long.ts: eslint(max-lines-per-function)`).toSorted(),
  );
});

test('what browsers share imports nothing of Node, and no package', async () => {
  const findings = await lint({
    'server/wire/node.ts': "import { extname } from 'node:path';\nexport const planted = extname('a.b');\n",
    'client/core/node.ts': "import { extname } from 'node:path';\nexport const planted = extname('a.b');\n",
    'server/wire/package.ts': "import { lookup } from 'mime-types';\nexport const planted = lookup('a.b');\n",
    'client/core/package.ts': "import { Upload } from 'tus-js-client';\nexport const planted = Upload;\n",
  });
  expect(
    layerFindings(findings)
      .map(({ filename }) => filename)
      .toSorted(),
  ).toEqual(['client/core/node.ts', 'client/core/package.ts', 'server/wire/node.ts', 'server/wire/package.ts']);
});

/** What one of the two, Node or a browser, does not have, and what a table of a policy could not decide. */
const NOT_SHARED: Record<string, string> = {
  process: 'export const a = process.argv;',
  buffer: 'export const a = Buffer.alloc(1);',
  window: 'export const a = (): unknown => window;',
  document: 'export const a = (): unknown => document;',
  storage: 'export const a = (): unknown => localStorage;',
  fetch: "export const a = (): unknown => fetch('/');",
  timer: 'export const a = (): unknown => setTimeout(() => undefined, 1);',
  clock: 'export const a = performance.now();',
  date: 'export const a = Date.now();',
  chance: 'export const a = Math.random();',
};

test('what Node or a browser alone has, time and chance are found where programs share code', async () => {
  const rooms = ['server/wire', 'client/core'];
  const files = rooms.flatMap((room) =>
    Object.entries(NOT_SHARED).map(([name, text]) => [`${room}/${name}.ts`, `${text}\n`] as const),
  );
  const allowed = "export const a = new URL('http://host/path').pathname;\n";
  const findings = await lint({
    ...Object.fromEntries(files),
    ...Object.fromEntries(rooms.map((room) => [`${room}/allowed.ts`, allowed])),
    'client/cli/elsewhere.ts': NOT_SHARED['clock'] ?? '',
    'client/web/src/elsewhere.ts': NOT_SHARED['document'] ?? '',
  });
  const found = findings.filter((each) => `${each.message} ${each.help}`.includes('knows neither Node nor a browser'));
  expect([...new Set(found.map(({ filename }) => filename))].toSorted()).toEqual(
    files.map(([path]) => path).toSorted(),
  );
});

test('what is allowed is not found', async () => {
  expect(await lint(plant(ALLOWED))).toEqual([]);
});

test("cycles, default exports, a stray look at the environment, Koa's query and mishandled promises are found", async () => {
  const findings = await lint({
    'server/uploads/a.ts': "import { b } from './b.ts';\nexport const a = (): number => b();\n",
    'server/uploads/b.ts': "import { a } from './a.ts';\nexport const b = (): number => a();\n",
    'server/uploads/default.ts': 'export default 1;\n',
    'server/uploads/environment.ts': "export const host = process.env['HOST'];\n",
    'server/config/env.ts': "export const host = process.env['HOST'];\n",
    'server/http/query.ts': 'export const a = (ctx: { query: { a: string } }): string => ctx.query.a;\n',
    'server/uploads/promises.ts': `
      async function work(): Promise<void> { await Promise.resolve(); }
      export function floating(): void { work(); }
      export function misused(list: number[]): void { list.forEach(async () => { await work(); }); }
      export async function thenable(): Promise<number> { return await 1; }
      export async function condition(): Promise<number> { if (work()) return 1; return 2; }
    `,
  });
  const codes = findings.map(({ code }) => code).join(' ');
  const environment = findings.filter(({ code }) => code.includes('no-process-env'));
  expect(environment.map(({ filename }) => filename)).toEqual(['server/uploads/environment.ts']);
  for (const rule of [
    'no-cycle',
    'no-default-export',
    'no-floating-promises',
    'no-misused-promises',
    'await-thenable',
    'no-restricted-properties',
  ]) {
    expect(codes).toContain(rule);
  }
});

/** Rooms that get time, timers and chance handed in. */
const ROOMS = [
  'server/uploads',
  'server/jobs',
  'server/leases',
  'server/outbox',
  'server/protocols/tus',
  'server/protocols/rufh',
  'server/catalog',
  'server/catalog/queries',
  'stores',
  'stores/local',
];

/** What they must not call by themselves. */
const RAW: Record<string, string> = {
  'set-timeout': 'export const a = (): unknown => setTimeout(() => undefined, 1);',
  'set-interval': 'export const a = (): unknown => setInterval(() => undefined, 1);',
  'set-immediate': 'export const a = (): unknown => setImmediate(() => undefined);',
  performance: 'export const a = performance.now();',
  'date-now': 'export const a = Date.now();',
  'date-now-by-reference': 'export const a: () => number = Date.now;',
  random: 'export const a = Math.random();',
  hrtime: 'export const a = process.hrtime();',
  'signal-timeout': 'export const a = AbortSignal.timeout(1);',
  wait: "import { setTimeout } from 'node:timers/promises';\nexport const a = setTimeout;",
  timers: "import { setTimeout } from 'node:timers';\nexport const a = setTimeout;",
  hooks: "import { performance } from 'node:perf_hooks';\nexport const a = performance;",
  uuid: "import { randomUUID } from 'node:crypto';\nexport const a = randomUUID;",
  bytes: "import { createHash, randomBytes } from 'node:crypto';\nexport const a = [createHash, randomBytes];",
};

test('time, timers and chance that were not handed in are found in each room', async () => {
  const files = ROOMS.flatMap((room) =>
    Object.entries(RAW).map(([name, text]) => [`${room}/${name}.ts`, `${text}\n`] as const),
  );
  const allowed = "import { createHash } from 'node:crypto';\nexport const a = createHash;\n";
  const findings = await lint({
    ...Object.fromEntries(files),
    ...Object.fromEntries(ROOMS.map((room) => [`${room}/allowed.ts`, allowed])),
    'server/http/elsewhere.ts': RAW['date-now'] ?? '',
    'stores/surroundings.ts': Object.values(RAW)[0] ?? '',
  });
  const found = findings.filter((each) => `${each.message} ${each.help}`.includes('are handed in'));
  expect([...new Set(found.map(({ filename }) => filename))].toSorted()).toEqual(
    files.map(([path]) => path).toSorted(),
  );
});
