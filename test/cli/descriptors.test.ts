/** A run that has no file descriptor left. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { withDescriptor } from '../../client/cli/descriptors.ts';
import { startService } from '../harness/service.ts';
import { MIB, makeClient, makeLine, until } from './support.ts';

// util-linux: takes descriptors from a process that runs.
const CAN_LIMIT = existsSync('/usr/bin/prlimit');

test.skipIf(!CAN_LIMIT)('the first Ctrl-C ends the wait for a descriptor', { timeout: 60_000 }, async () => {
  const service = await startService();
  try {
    const line = await makeLine(service.port, 4 * MIB);
    const client = await makeClient(line.url);
    const [first, second] = [await client.makeFile('first.bin', 4 * MIB), await client.makeFile('second.bin', MIB)];
    const pidFile = join(client.folder, 'pid');
    const run = client.start(['upload', '--parallel', '1', first, second], {
      inShell: (command) => ['bash', '-c', `echo $$ > '${pidFile}'; ${command}`],
    });
    await until(() => line.sentBytes() > MIB);
    execFileSync('/usr/bin/prlimit', ['--pid', readFileSync(pidFile, 'utf8').trim(), '--nofile=5:4096']);
    await run.said('MD5 verified');
    // Nothing tells that the second file waits for a descriptor by now; where it does not yet, the test finds less.
    const at = performance.now();
    await until(() => performance.now() - at > 300);
    run.signal('SIGINT');
    const result = await run.done;
    expect(result.exitCode).toBe(130);
    expect(result.stderr).toContain('Interrupted. What has arrived is kept.');
  } finally {
    await service.stop();
  }
});

test('a descriptor that is given back is used; any other error is told at once', async () => {
  const { signal } = new AbortController();
  let left = 3;
  const open = (): Promise<string> =>
    left-- > 0 ? Promise.reject(Object.assign(new Error('none left'), { code: 'EMFILE' })) : Promise.resolve('open');
  expect(await withDescriptor(open, signal)).toBe('open');
  const missing = Object.assign(new Error('missing'), { code: 'ENOENT' });
  await expect(withDescriptor(() => Promise.reject(missing), signal)).rejects.toBe(missing);
});
