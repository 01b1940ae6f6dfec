/** The doctor's section on the local store: tries what the store needs of a file system. */
import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { explainFolderTrouble, nearestFolder } from '../folder-trouble.ts';
import { type Finding, type Section, type Step, StepError } from '../section.ts';
import { createFile, linkFile, sizeOf, syncFolder } from './files.ts';

const MIB = 1024 * 1024;
const SAMPLE_BYTES = MIB;

/**
 * Steps that do what the store does with its files, in a temporary folder among them.
 *
 * @param directory - the store's folder, which need not exist yet.
 */
export function localSection(directory: string): Section {
  const name = `.doctor-${randomBytes(8).toString('hex')}`;
  let folder = '';
  const path = (file: string): string => join(folder, file);
  const bytes = randomBytes(SAMPLE_BYTES);

  const steps: Step[] = [
    {
      name: 'write and sync',
      tried: `writing ${SAMPLE_BYTES / MIB} MiB below ${directory}`,
      run: async () => {
        folder = join(await nearestFolder(directory), name);
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
    explain: explainFolderTrouble,
    // Also where the first step created the folder and then failed: then the step `cleaning` is skipped.
    close: async () => {
      if (folder !== '') await rm(folder, { recursive: true, force: true });
    },
  };
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
