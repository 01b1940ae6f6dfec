/** The section on DATA_DIR, which every service has, whatever its store: permissions and free space. */
import { randomBytes } from 'node:crypto';
import { access, constants, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { explainFolderTrouble, nearestFolder } from '../../stores/folder-trouble.ts';
import { type Finding, type Section, StepError } from '../../stores/section.ts';

const MIB = 1024 * 1024;
/** With less, the catalog's reserve and a few uploads fill the disk: the step fails. */
const LEAST_FREE_BYTES = 32 * MIB;
/** With less, the step passes with a note. */
const NOTED_FREE_BYTES = 1024 * MIB;

/** Permissions and free space of `dataDir`. The service creates that folder where it is missing. */
export function folderSection(dataDir: string): Section {
  return {
    steps: [
      { name: 'folder', tried: `writing to ${dataDir}`, run: () => tryFolder(dataDir) },
      { name: 'free space', tried: 'asking its disk', needs: ['folder'], run: () => measureRoom(dataDir) },
    ],
    explain: explainFolderTrouble,
  };
}

async function tryFolder(dataDir: string): Promise<Finding> {
  const place = await nearestFolder(dataDir);
  await access(place, constants.R_OK | constants.W_OK | constants.X_OK);
  if (place !== dataDir) return { found: `it is not there yet, and can be made in ${place}` };
  const probe = join(place, `.doctor-${randomBytes(8).toString('hex')}`);
  await writeFile(probe, '', { flag: 'wx', mode: 0o600 });
  await rm(probe);
  const { uid, mode } = await stat(place);
  const us = process.getuid?.() ?? uid;
  if (uid !== us) {
    const change = 'run the doctor as the user that runs the service: this one may be allowed more';
    return { found: `writable; it belongs to user ${uid}, and this is user ${us}`, note: true, change };
  }
  if ((mode & 0o002) === 0) return { found: 'writable' };
  return { found: 'writable, and everyone on this machine may write to it', note: true, change: 'chmod o-w' };
}

async function measureRoom(dataDir: string): Promise<Finding> {
  const { bavail, bsize, files, ffree } = await statfs(await nearestFolder(dataDir));
  const free = bavail * bsize;
  const found = `${(free / (1024 * MIB)).toFixed(1)} GiB free`;
  if (free < LEAST_FREE_BYTES) throw new StepError(found, 'make room: uploads would be refused with 507');
  if (files > 0 && ffree === 0) throw new StepError('no file can be made: its inodes are used up', 'remove files');
  return free < NOTED_FREE_BYTES ? { found, note: true, change: 'make room' } : { found };
}
