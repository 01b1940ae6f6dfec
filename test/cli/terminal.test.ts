import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startService } from '../harness/service.ts';
import type { RunningService } from '../harness/service.ts';
import { MIB, makeClient, makeLine } from './support.ts';
import { isHere } from '../harness/needs.ts';

const SIZE = 6 * MIB;

/** util-linux, whose command lends a program a terminal. */
const HAS_SCRIPT = isHere(
  (() => {
    try {
      return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux');
    } catch {
      return false;
    }
  })(),
  'a terminal needs the script command of util-linux (Debian: apt-get install bsdutils)',
);

const onTerminal = (line: string): string[] => ['script', '--quiet', '--return', '--command', line, '/dev/null'];

let service: RunningService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service.stop();
});

test.skipIf(!HAS_SCRIPT)('a terminal shows bar, share, bytes, rate and time left, in one line that goes', async () => {
  const line = await makeLine(service.port, 3 * MIB);
  const client = await makeClient(line.url);
  await client.makeFile('shown.bin', SIZE);
  const result = await client.start(['upload', 'shown.bin'], { inShell: onTerminal }).done;
  expect(result.exitCode).toBe(0);
  expect(result.stdout).toMatch(/\r[^\r\n]*: uploading \[#+-+\] \d+% [\d.]+ of 6\.0 MiB [\d.]+ [KM]iB\/s, \d+ s left/);
  const [lastLine = '', address = ''] = result.stdout.trimEnd().split(/\r\n/).slice(-2);
  expect(lastLine).toContain('MD5 verified');
  // What is left of a line once the bar before it has been cleared.
  expect(lastLine.split('\u001b[K').pop()).toContain('shown.bin: uploaded 6.0 MiB');
  expect(address).toMatch(/^http:\S+$/);
});

test.skipIf(!HAS_SCRIPT)('Ctrl-C on a terminal clears the bar and prints how to resume', async () => {
  const line = await makeLine(service.port, 3 * MIB);
  const client = await makeClient(line.url);
  const path = await client.makeFile('stopped.bin', SIZE);
  const run = client.start(['upload', path], { inShell: onTerminal, stdinOpen: true });
  await run.wrote(' s left');
  run.stdin.write('\u0003');
  const result = await run.done;
  expect(result.exitCode).toBe(130);
  const lines = result.stdout.trimEnd().split('\r\n');
  expect(lines.at(-2)?.split('\u001b[K').pop()).toBe('Interrupted. What has arrived is kept. To continue:');
  expect(lines.at(-1)).toBe(`  tidemark upload ${path}`);
});
