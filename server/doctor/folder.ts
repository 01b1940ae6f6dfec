/** The steps on DATA_DIR: rights and room; and, for the local store, what it needs of a file system. */
import { randomBytes } from 'node:crypto';
import { access, constants, mkdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createFile, linkFile, sizeOf, syncFolder } from '../../stores/local/files.ts';
import { type Finding, type Section, type Step, StepError } from './steps.ts';

const MIB = 1024 * 1024;
const SAMPLE_BYTES = MIB;
/** Below, the catalog's reserve and a few uploads fill it. */
const LEAST_FREE_BYTES = 32 * MIB;
const NOTED_FREE_BYTES = 1024 * MIB;

/** What to change where the system refuses; see open(2), mkdir(2). */
const CHANGES: Record<string, string> = {
  EACCES: 'give it to the user that runs the service (chown), or set DATA_DIR',
  EPERM: 'give it to the user that runs the service (chown), or set DATA_DIR',
  EROFS: 'its file system is read-only: mount it writable, or set DATA_DIR',
  ENOSPC: 'its disk is full: make room',
  EDQUOT: "this user's quota is used up: raise it",
  ENOTDIR: 'a part of its path is a file: set DATA_DIR',
  EIO: 'its disk fails: see the log of the kernel',
};

/** Rights and room of `dataDir`, which the service makes where it is missing. */
export function folderSection(dataDir: string): Section {
  return {
    steps: [
      { name: 'folder', tried: `writing to ${dataDir}`, run: () => tryFolder(dataDir) },
      { name: 'free space', tried: 'asking its disk', needs: ['folder'], run: () => measureRoom(dataDir) },
    ],
    explain: explainRefusal,
  };
}

/** What the local store does with its files, in a folder of its own among them, which is removed. */
export function localStoreSection(dataDir: string): Section {
  const name = `.doctor-${randomBytes(8).toString('hex')}`;
  let folder = '';
  const path = (file: string): string => join(folder, file);
  const bytes = randomBytes(SAMPLE_BYTES);

  const steps: Step[] = [
    {
      name: 'write and sync',
      tried: `writing ${SAMPLE_BYTES / MIB} MiB below ${join(dataDir, 'files')}`,
      run: async () => {
        const place = await nearest(join(dataDir, 'files'));
        folder = join(place, name);
        await mkdir(folder, { mode: 0o700 });
        return writeAndRead(path('written'), bytes);
      },
    },
    {
      name: 'rename',
      tried: 'giving it another name, and syncing the folder',
      needs: ['write and sync'],
      run: async () => {
        await rename(path('written'), path('renamed'));
        await syncFolder(folder);
        if (sizeOf(path('renamed')) === SAMPLE_BYTES) return { found: 'it has it' };
        throw new StepError('the file is not there under its new name', 'do not use this file system');
      },
    },
    {
      name: 'hard link',
      tried: 'giving it a second name',
      needs: ['rename'],
      run: async () => {
        if ((await linkFile(path('renamed'), path('linked'))) === 'linked') return { found: 'it has both' };
        const change = 'nothing: files are renamed instead. A file system with hard links survives more crashes';
        return { found: 'the file system has no hard links', note: true, change };
      },
    },
    {
      name: 'cleaning',
      tried: 'removing what was written',
      needs: ['write and sync'],
      always: true,
      run: async () => {
        await rm(folder, { recursive: true, force: true });
        return { found: 'nothing is left' };
      },
    },
  ];
  return {
    steps,
    explain: explainRefusal,
    // Also where the first step had made the folder and failed then.
    close: async () => {
      if (folder !== '') await rm(folder, { recursive: true, force: true });
    },
  };
}

function explainRefusal(error: unknown): { found: string; change: string } {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return { found: message, change: CHANGES[code] ?? 'set DATA_DIR to a folder of a local disk' };
}

/** The folder, or the one in which it would be made. */
async function nearest(path: string): Promise<string> {
  const found = await stat(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return nearest(dirname(path));
  if (!found.isDirectory()) throw new StepError(`${path} is a file`, 'move it away, or set DATA_DIR');
  return path;
}

async function tryFolder(dataDir: string): Promise<Finding> {
  const place = await nearest(dataDir);
  await access(place, constants.R_OK | constants.W_OK | constants.X_OK);
  if (place !== dataDir) return { found: `it is not there yet, and can be made in ${place}` };
  const probe = join(place, `.doctor-${randomBytes(8).toString('hex')}`);
  const file = await createFile(probe);
  await file.close();
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
  const { bavail, bsize, files, ffree } = await statfs(await nearest(dataDir));
  const free = bavail * bsize;
  const found = `${(free / (1024 * MIB)).toFixed(1)} GiB free`;
  if (free < LEAST_FREE_BYTES) throw new StepError(found, 'make room: uploads would be refused with 507');
  if (files > 0 && ffree === 0) throw new StepError('no file can be made: its inodes are used up', 'remove files');
  return free < NOTED_FREE_BYTES ? { found, note: true, change: 'make room' } : { found };
}

async function writeAndRead(path: string, bytes: Buffer): Promise<Finding> {
  const file = await createFile(path);
  try {
    await file.write([bytes], 0);
    const begun = performance.now();
    await file.sync();
    const syncMs = performance.now() - begun;
    const read = Buffer.alloc(bytes.length);
    const length = await file.read(read, read.length, 0);
    if (length !== bytes.length || !read.equals(bytes)) {
      throw new StepError('other bytes came back', 'its disk or file system fails: use another');
    }
    return { found: `the same bytes came back; the sync took ${syncMs.toFixed(1)} ms` };
  } finally {
    await file.close();
  }
}
