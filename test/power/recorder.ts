/** A real service whose file calls are recorded, and fail where they are told to; see record.c. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, realpath, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type RunningService, startService } from '../harness/service.ts';

const SOURCE = fileURLToPath(new URL('../../../test/power/record.c', import.meta.url));
const CONTROL_BYTES = 4096;
/** Below the folder that is recorded: its parents are made by the service, too. */
export const DATA_DIR = 'a/b/data';

/** Why nothing can be recorded here; undefined when it can. */
export const MISSING = ((): string | undefined => {
  if (process.platform !== 'linux') return 'the power-cut test records file calls by LD_PRELOAD, on Linux alone';
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'the power-cut test needs a C compiler (Debian: apt-get install build-essential)';
  }
})();

export interface Recorder {
  /** What is recorded. */
  readonly root: string;
  readonly service: RunningService;
  /** Has another process recorded, too. */
  readonly env: NodeJS.ProcessEnv;
  /** Now: the size of the log. */
  time(): number;
  /** So many calls of 10,000 fail from now on. */
  setFaults(per10000: number, seed: number): void;
  /** Calls that were made to fail. */
  faults(): number;
  /** The nth sync from now on of a file whose path ends so fails, once. */
  failSync(pathEnd: string, nth: number): void;
  log(): Promise<Buffer>;
  stop(): Promise<void>;
}

/** A folder in memory, where there is one: syncs cost nothing there. */
export async function makeScratch(): Promise<string> {
  let place = tmpdir();
  try {
    accessSync('/dev/shm', constants.W_OK);
    place = '/dev/shm';
  } catch {
    // A disk does it, too.
  }
  return realpath(await mkdtemp(join(place, 'tidemark-power-')));
}

/** Compiles the library; its path. */
export function compileLibrary(folder: string): string {
  const library = join(folder, 'record.so');
  execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', library, SOURCE, '-lpthread']);
  return library;
}

export interface RecorderOptions {
  /** Holds what is recorded and the log. */
  folder: string;
  library: string;
  /** What is there already; without it the folder begins empty. */
  root?: string;
  env?: NodeJS.ProcessEnv;
  /** SIGKILL before the nth call from its start on. */
  killIn?: number;
}

/** The boot that recorded services believe in: the real one is another. */
const BOOT_ID = '00000000-0000-4000-8000-00000000000b\n';

/** Starts a recorded service. */
export async function startRecorder({
  folder,
  library,
  root: given,
  env = {},
  killIn,
}: RecorderOptions): Promise<Recorder> {
  const root = given ?? join(folder, 'root');
  await mkdir(root, { recursive: true });
  const [log, control, boot] = ['log', 'control', 'boot-id'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await writeFile(log, '');
  await writeFile(control, Buffer.alloc(CONTROL_BYTES));
  await writeFile(boot, BOOT_ID);
  const logFd = openSync(log, 'r');
  const controlFd = openSync(control, 'r+');

  function put(at: number, value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    writeSync(controlFd, bytes, 0, 4, at);
  }

  if (killIn !== undefined) put(8, killIn);
  const recorded = {
    LD_PRELOAD: library,
    POWER_ROOT: root,
    POWER_LOG: log,
    POWER_CONTROL: control,
    POWER_BOOT_ID: boot,
    UV_USE_IO_URING: '0',
  };
  const service = await startService({ dataDir: join(root, DATA_DIR), env: { ...env, ...recorded } });
  return {
    root,
    service,
    env: recorded,
    time: () => fstatSync(logFd).size,
    setFaults: (per10000, seed) => {
      put(4, seed);
      put(0, per10000);
    },
    faults: () => {
      const bytes = Buffer.alloc(4);
      readSync(controlFd, bytes, 0, 4, 12);
      return bytes.readUInt32LE(0);
    },
    failSync: (pathEnd, nth) => {
      writeSync(controlFd, Buffer.from(`${pathEnd}\0`), 0, pathEnd.length + 1, 20);
      put(16, nth);
    },
    log: () => readFile(log),
    stop: async () => {
      await service.stop();
      closeSync(logFd);
      closeSync(controlFd);
    },
  };
}
