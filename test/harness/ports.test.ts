import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { freePort } from './ports.ts';

const EACH = 300;

test('two processes at once never get the same port', async () => {
  const module = new URL('./ports.js', import.meta.url).href;
  // Runs until this process has chosen its ports, too.
  const code = `import { freePort } from '${module}';
    const ports = [];
    for (let count = 0; count < ${EACH}; count++) ports.push(await freePort());
    process.stdout.write(JSON.stringify(ports));
    process.stdin.resume();`;
  const other = promisify(execFile)(process.execPath, ['--input-type=module', '-e', code]);
  const ports: number[] = [];
  for (let count = 0; count < EACH; count++) ports.push(await freePort());
  other.child.stdin?.end();
  ports.push(...(JSON.parse((await other).stdout) as number[]));
  expect(new Set(ports).size).toBe(2 * EACH);
});
