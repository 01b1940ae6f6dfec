/**
 * Preloaded into a process, makes one file slow, like a disk that hardly responds: each read of the file `?path=`
 * takes 5 seconds, and is reported on stdout when it begins.
 */
import { open, readlink } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';

const READ_MS = 5_000;
const slow = new URL(import.meta.url).searchParams.get('path');

interface Handle {
  readonly fd: number;
}
type Read = (this: Handle, ...given: unknown[]) => Promise<unknown>;

const sample = await open(process.execPath, 'r');
const prototype = Object.getPrototypeOf(sample) as { read: Read };
await sample.close();
const read = prototype.read;
prototype.read = async function readSlowly(...given): Promise<unknown> {
  if ((await readlink(`/proc/self/fd/${this.fd}`)) === slow) {
    process.stdout.write('the slow file is read\n');
    await wait(READ_MS);
  }
  return read.apply(this, given);
};
