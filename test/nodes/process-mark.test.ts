/** Whether a process that has left a mark still runs. Told wrongly, the leases of a node that lives would be taken. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { fateOf, readProcessMark } from '../../server/nodes/process-mark.ts';
import { IS_LINUX, isHere } from '../harness/needs.ts';

const MODULE = fileURLToPath(new URL('../../server/nodes/process-mark.js', import.meta.url));
/** As a service of another user, from which systemd hides the processes of others (ProtectProc=invisible). */
const HIDING = 'mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"';

const hiding = (...command: string[]) =>
  spawnSync('unshare', ['-m', 'sh', '-c', HIDING, 'sh', ...command], { encoding: 'utf8' });

const canHide = isHere(
  IS_LINUX && hiding('test', '-r', MODULE).status === 0,
  'hiding processes from others needs root, which may mount /proc',
);

test.skipIf(!IS_LINUX)(
  'a process runs, another one with its id is not it, and where there is none it has ended',
  async () => {
    const mark = readProcessMark() ?? '';
    expect(fateOf(mark)).toBe('runs');
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    onTestFinished(() => void other.kill('SIGKILL'));
    const of = (pid: number | undefined) => [...mark.split(' ').slice(0, 2), pid, mark.split(' ')[3]].join(' ');
    expect(fateOf(of(other.pid))).toBe('ended');
    other.kill('SIGKILL');
    await once(other, 'exit');
    expect(fateOf(of(other.pid))).toBe('ended');
    expect(fateOf(`another ${mark}`)).toBe('unknown');
    expect(fateOf(null)).toBe('unknown');
  },
);

test.skipIf(!canHide)('a process that is hidden has not ended', () => {
  const script = `import(${JSON.stringify(MODULE)}).then(({ fateOf }) => console.log(fateOf(process.argv[1])))`;
  const ask = (mark: string) => hiding(process.execPath, '-e', script, mark).stdout.trim();
  const mark = readProcessMark() ?? '';
  expect(ask(mark)).toBe('unknown');
  const [boot, namespace, , start] = mark.split(' ');
  // Ids end at 2^22.
  expect(ask([boot, namespace, 4_194_305, start].join(' '))).toBe('ended');
});
