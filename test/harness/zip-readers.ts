/** Programs that read ZIP files, and are asked whether all of one is right: Info-ZIP, 7-Zip, and Python's zipfile. */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { isExecutable, isHere } from './needs.ts';

const run = promisify(execFile);

export interface ZipReader {
  name: string;
  isHere: boolean;
  /** Fails unless it takes the file for a whole archive. @param only - an entry; all of them by default. */
  check(path: string, only?: string): Promise<void>;
  /** The MD5 of the bytes of an entry, as it reads them. */
  md5Of(path: string, entry: string): Promise<string>;
}

async function ask(program: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run(program, args, { maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${program} ${args.join(' ')}: ${stdout.slice(-1_000)} ${stderr.slice(-1_000)}`, { cause: error });
  }
}

/** @returns the MD5 of what a program writes. */
async function digestOf(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const hash = createHash('md5');
  const exited = once(child, 'close');
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) hash.update(chunk);
  const [code] = (await exited) as [number | null];
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${code}`);
  return hash.digest('hex');
}

const SEVEN_ZIP = ['/usr/bin/7zz', '/usr/bin/7z'].find(isExecutable);

/** Python says of an archive what is wrong with it, by its central directory and by all its bytes. */
const IN_PYTHON = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    if len(sys.argv) > 2:
        archive.read(sys.argv[2])
    elif archive.testzip() is not None:
        sys.exit('damaged: ' + archive.testzip())
`;

const TO_STDOUT = `
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive, archive.open(sys.argv[2]) as entry:
    shutil.copyfileobj(entry, sys.stdout.buffer, 1 << 20)
`;

export const ZIP_READERS: readonly ZipReader[] = [
  {
    name: 'Info-ZIP',
    isHere: isHere(isExecutable('/usr/bin/unzip'), 'Info-ZIP is not installed (Debian: unzip)'),
    check: async (path, only) => void (await ask('unzip', ['-tqq', path, ...(only === undefined ? [] : [only])])),
    md5Of: (path, entry) => digestOf('unzip', ['-p', path, entry]),
  },
  {
    name: '7-Zip',
    isHere: isHere(SEVEN_ZIP !== undefined, '7-Zip is not installed (Debian: 7zip)'),
    check: async (path, only) => {
      const said = await ask(SEVEN_ZIP ?? '7zz', ['t', path, ...(only === undefined ? [] : [only])]);
      if (!said.includes('Everything is Ok') || said.includes('Warnings')) throw new Error(said);
    },
    md5Of: (path, entry) => digestOf(SEVEN_ZIP ?? '7zz', ['e', '-so', path, entry]),
  },
  {
    name: "Python's zipfile",
    isHere: isHere(isExecutable('/usr/bin/python3'), 'Python is not installed (Debian: python3)'),
    check: async (path, only) => {
      await ask('python3', ['-c', IN_PYTHON, path, ...(only === undefined ? [] : [only])]);
    },
    md5Of: (path, entry) => digestOf('python3', ['-c', TO_STDOUT, path, entry]),
  },
];

export interface ZipEntry {
  name: string;
  size: number;
  crc: number;
  /** 0: stored. */
  method: number;
  /** Milliseconds since the epoch, by the extended timestamp. */
  modifiedAt: number;
  bytes: Buffer;
}

/** Reads an archive in memory by its central directory, without ZIP64: what the readers above do not tell. */
export function readZip(archive: Buffer): ZipEntry[] {
  const end = archive.length - 22;
  const entries: ZipEntry[] = [];
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left--) {
    const [nameLength, extraLength] = [archive.readUInt16LE(at + 28), archive.readUInt16LE(at + 30)];
    const [size, local] = [archive.readUInt32LE(at + 24), archive.readUInt32LE(at + 42)];
    const dataAt = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
    entries.push({
      name: archive.toString('utf8', at + 46, at + 46 + nameLength),
      size,
      crc: archive.readUInt32LE(at + 16),
      method: archive.readUInt16LE(at + 10),
      modifiedAt: archive.readInt32LE(at + 46 + nameLength + 5) * 1000,
      bytes: archive.subarray(dataAt, dataAt + size),
    });
    at += 46 + nameLength + extraLength;
  }
  return entries;
}
