/** A process runs many test files, and loads what they share once: a hook there would count for the first of them alone. */
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const TESTS = fileURLToPath(new URL('../../../test/', import.meta.url));
const HOOK = /^(?:await )?(?:beforeAll|afterAll|beforeEach|afterEach|onTestFinished)\(/m;

test('no module that test files share registers a hook when it is loaded', async () => {
  const shared = (await readdir(TESTS, { recursive: true })).filter((name) => /(?<!\.test)\.ts$/.test(name));
  expect(shared).toContain('web/browsers.ts');
  const found: string[] = [];
  for (const name of shared) if (HOOK.test(await readFile(TESTS + name, 'utf8'))) found.push(name);
  expect(found).toEqual([]);
});
