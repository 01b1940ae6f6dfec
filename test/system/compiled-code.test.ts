/** What the build keeps of V8's work on the programs: used where it fits, and never in place of what a file says. */
import { execFile } from 'node:child_process';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeEach, expect, test } from 'vitest';
import { makeTempFolder } from '../harness/temp-folder.ts';

const run = promisify(execFile);
const CHUNKS = fileURLToPath(new URL('../../chunks/', import.meta.url));
const BUNDLE = 'client-cli-main.cjs';

/** Runs the command, and says of each bundle whether its compiled code was refused; undefined where there is none. */
const TELLING = `
  const load = require(process.argv[1]);
  load.onCompiled = (name, source, script) => process.stderr.write(name + ' ' + script.cachedDataRejected + '\\n');
  process.argv.splice(1, 1, 'tidemark');
  load('${BUNDLE}');`;

let chunks: string;
beforeEach(async () => {
  const folder = await makeTempFolder();
  chunks = join(folder, 'dist/chunks');
  await cp(CHUNKS, chunks, { recursive: true, filter: (path) => !path.endsWith('.map') });
  await cp(join(CHUNKS, '../../package.json'), join(folder, 'package.json'));
});

async function help(): Promise<{ stdout: string; refused: string[] }> {
  const { stdout, stderr } = await run(process.execPath, ['-e', TELLING, join(chunks, 'load.cjs'), '--help']);
  return { stdout, refused: stderr.split('\n').filter((line) => line !== '' && !line.endsWith(' false')) };
}

async function cacheOf(name: string): Promise<string> {
  const found = (await readdir(chunks)).find((entry) => entry.startsWith(`${name}.`) && entry.endsWith('.cache'));
  return join(chunks, found ?? 'none');
}

test('a program runs from what was compiled when it was built', async () => {
  const { stdout, refused } = await help();
  expect(stdout).toContain('Usage: tidemark');
  expect(refused).toEqual([]);
});

test('a bundle that was changed runs as it is now, though it is as long as before', async () => {
  const path = join(chunks, BUNDLE);
  const source = await readFile(path, 'utf8');
  expect(source).toContain('Usage:');
  await writeFile(path, source.replaceAll('Usage:', 'Wsage:'));
  const { stdout, refused } = await help();
  expect(stdout).toContain('Wsage: tidemark');
  expect(refused).toEqual([`${BUNDLE} undefined`]);
});

test('a cache that is damaged or cut is not used', async () => {
  const cache = await cacheOf(BUNDLE);
  const bytes = await readFile(cache);
  const flipped = Buffer.from(bytes);
  const at = bytes.length >> 1;
  flipped[at] = (flipped[at] ?? 0) ^ 1;
  for (const wrong of [flipped, bytes.subarray(0, bytes.length >> 1), bytes.subarray(0, 7), Buffer.alloc(0)]) {
    await writeFile(cache, wrong);
    const { stdout, refused } = await help();
    expect(stdout).toContain('Usage: tidemark');
    expect(refused).toEqual([`${BUNDLE} undefined`]);
  }
});
