/**
 * Preloaded into a process, makes files slow, like a disk that hardly responds: each read of the file `?path=`, or of a file in
 * that folder, takes `&ms=` milliseconds, and is reported on stdout when it begins.
 */
import { open, readlink } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';

const given = new URL(import.meta.url).searchParams;
const slow = given.get('path') ?? 'no path is given';
const readMs = Number(given.get('ms'));

interface Handle {
  readonly fd: number;
}
type Read = (this: Handle, ...given: unknown[]) => Promise<unknown>;

const sample = await open(process.execPath, 'r');
const prototype = Object.getPrototypeOf(sample) as { read: Read };
await sample.close();
const read = prototype.read;
prototype.read = async function readSlowly(...how): Promise<unknown> {
  if ((await readlink(`/proc/self/fd/${this.fd}`)).startsWith(slow)) {
    process.stdout.write('the slow file is read\n');
    await wait(readMs);
  }
  return read.apply(this, how);
};
