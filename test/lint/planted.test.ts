import { execFile } from 'node:child_process';
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { makeTempFolder } from '../support/temp-folder.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

interface Finding {
  code: string;
  filename: string;
  message: string;
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

/** Who may not import whom. */
const FORBIDDEN: [from: string, to: string][] = [
  ['server/catalog/planted.ts', 'server/uploads/target.ts'],
  ['server/catalog/sqlite/planted.ts', 'server/uploads/target.ts'],
  ['server/catalog/planted2.ts', 'server/config/target.ts'],
  ['server/catalog/planted3.ts', 'stores/target.ts'],
  ['server/locks/planted.ts', 'server/catalog/target.ts'],
  ['server/locks/planted2.ts', 'server/service.ts'],
  ['stores/planted.ts', 'server/uploads/target.ts'],
  ['stores/local/planted.ts', 'server/catalog/target.ts'],
  ['server/uploads/planted.ts', 'server/http/target.ts'],
  ['server/uploads/planted2.ts', 'server/tus/target.ts'],
  ['server/http/planted.ts', 'server/tus/target.ts'],
  ['server/http/planted2.ts', 'server/catalog/sqlite/target.ts'],
  ['server/http/planted3.ts', 'server/service.ts'],
  ['server/tus/planted.ts', 'server/http/target.ts'],
  ['server/config/planted.ts', 'server/uploads/target.ts'],
  ['server/uploads/planted3.ts', 'client/cli/target.ts'],
  ['stores/planted2.ts', 'test/target.ts'],
  ['client/cli/planted.ts', 'server/uploads/target.ts'],
  ['client/cli/planted2.ts', 'stores/target.ts'],
];

function importPath(from: string, to: string): string {
  return `${'../'.repeat(from.split('/').length - 1)}${to}`;
}

test('every forbidden way of imports is found, with the reason', async () => {
  const files: Record<string, string> = {};
  for (const [from, to] of FORBIDDEN) {
    files[to] = 'export const target = 1;\n';
    files[from] = `import { target } from '${importPath(from, to)}';\nexport const planted = target;\n`;
  }
  const findings = await lint(files);
  for (const [from, to] of FORBIDDEN) {
    const found = findings.filter(({ code, filename }) => code.includes('no-restricted-imports') && filename.endsWith(from));
    expect(found, `${from} imports ${to}`).toHaveLength(1);
  }
});

test('cycles, default exports and mishandled promises are found', async () => {
  const findings = await lint({
    'server/uploads/a.ts': "import { b } from './b.ts';\nexport const a = (): number => b();\n",
    'server/uploads/b.ts': "import { a } from './a.ts';\nexport const b = (): number => a();\n",
    'server/uploads/default.ts': 'export default 1;\n',
    'server/uploads/promises.ts': `
      async function work(): Promise<void> { await Promise.resolve(); }
      export function floating(): void { work(); }
      export function misused(list: number[]): void { list.forEach(async () => { await work(); }); }
      export async function thenable(): Promise<number> { return await 1; }
      export async function condition(): Promise<number> { if (work()) return 1; return 2; }
    `,
  });
  const codes = findings.map(({ code }) => code).join(' ');
  for (const rule of ['no-cycle', 'no-default-export', 'no-floating-promises', 'no-misused-promises', 'await-thenable']) {
    expect(codes).toContain(rule);
  }
});

test('what is allowed is not found', async () => {
  expect(
    await lint({
      'server/uploads/planted.ts': "import { target } from '../catalog/target.ts';\nexport const planted = target;\n",
      'server/catalog/target.ts': 'export const target = 1;\n',
    }),
  ).toEqual([]);
});
